"""Whole path."""
from tests.support.oracle import Oracle
def test_first(world):
    here = world(users=120, plain=False)
    oracle = Oracle(here)
    run = here.fire()
    print(run.report()["counts"], run.requests)
    oracle.verify(run)
    run = here.night()
    print(run.report()["counts"], run.requests)
    oracle.verify(run)
    assert not here.writes()
