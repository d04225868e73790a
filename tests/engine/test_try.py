import pytest
@pytest.mark.parametrize("backend",["sqlite","postgresql"])
@pytest.mark.parametrize("p",["delavtale_evaluering","fagutvalg_mandat","motesak"])
def test_x(world,p):
    if p=="fagutvalg_mandat":
        from datetime import date
        world.clock.to(date(2024,6,18))
    i=world.start(p)
    world.proceed_to_end(i)
