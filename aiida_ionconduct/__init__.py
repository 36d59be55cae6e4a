"""From a composition or a crystal to an ionic conductivity with an honest error bar."""

__version__ = '0.2.0'
