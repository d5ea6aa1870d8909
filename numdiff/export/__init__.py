"""Schemes and methods for other programs and for later: exact JSON, and a page of Python that needs no numdiff.

`documents` writes JSON in which every number is exact and that loads back to the same object; `source` writes one run
as Python.
"""

from numdiff.export.documents import from_json, method_from_json, method_to_json, to_json
from numdiff.export.source import to_python

__all__ = ["from_json", "method_from_json", "method_to_json", "to_json", "to_python"]
