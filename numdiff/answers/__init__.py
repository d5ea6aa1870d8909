"""Questions about a method and their answers, ready to be shown; the mathematics lives in the packages below."""
