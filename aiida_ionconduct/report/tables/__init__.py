"""Tables and sentences, for the page and for the terminal."""
