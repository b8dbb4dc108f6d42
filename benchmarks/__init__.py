"""Side-by-side runs against established registration methods; not part of the tests."""
