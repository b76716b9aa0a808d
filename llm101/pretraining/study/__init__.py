"""Studies of training: what it could do when (film.py), the quickest recipe (race.py), the loss, foretold
(scaling_law.py)."""
