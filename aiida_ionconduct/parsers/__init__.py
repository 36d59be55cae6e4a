"""One parser for every calculation job."""
