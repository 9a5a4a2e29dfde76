"""Studies of any number of firm-events on a wide panel: linear models and the tests, from sums."""
