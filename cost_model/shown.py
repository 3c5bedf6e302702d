"""What lets a result show itself in a notebook, without the result knowing how it is drawn."""

from __future__ import annotations


class Shown:
    """A result that Jupyter and its like render; cost_model.report.notebook says how, imported when it is asked."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """A line of text, and HTML; who asks for some kinds of them picks them out itself."""
        from cost_model.report.notebook import bundle  # noqa: PLC0415  # it knows the results, and they not it

        return bundle(self)
