"""Chat templates of checkpoints, rendered with bounds on steps and texts; a template is a program of somebody else."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

_LONGEST = 20_000
_MOST_STEPS = 10_000
_MOST_NUMBERS = 1000
_METHODS = ("strip", "lstrip", "rstrip", "startswith", "endswith", "lower", "upper", "title", "capitalize", "split")
_FILTERS = (
    *("trim", "length", "count", "lower", "upper", "capitalize", "title", "default", "d", "first", "last", "int", "list"),
    *("selectattr", "rejectattr", "map"),
)
_GLOBALS = ("namespace",)
_STEPS, _TEXT = "bounded_steps", "bounded_text"


def chat_template(source: str) -> Callable[..., str]:
    """Compile a chat template with transformers' settings; compiling and rendering raise errors of jinja2.

    Methods and filters are those that templates of the family need. Products and containers of variables are refused,
    because a few of them make gigabytes.
    """
    if len(source) > _LONGEST:
        raise SecurityError(f"the template has {len(source)} characters")
    environment = _Bounded()
    template = environment.from_string(source)

    def render(**values: Any) -> str:
        environment.spent = environment.written = 0
        turn = ""
        for piece in template.generate(**values):
            turn = _short(turn + piece)
        return turn

    return render


class _Bounded(ImmutableSandboxedEnvironment):
    """Environment that counts iterations and calls, and measures every text that is made."""

    intercepted_binops = frozenset(("+", "*", "**", "%", "//"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"], finalize=lambda value: self.out(value)
        )
        self.spent = self.written = 0
        self.globals = {name: self.globals[name] for name in _GLOBALS} | {"range": _short_range, "raise_exception": _refuse}
        ours = {_STEPS: self.steps, _TEXT: _as_text, "join": self.join, "replace": _replaced}
        self.filters = {name: self.filters[name] for name in _FILTERS} | ours

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in tree.find_all((nodes.List, nodes.Tuple, nodes.Dict)):
            stored = isinstance(node, nodes.Tuple) and node.ctx == "store"
            if not stored and any(node.find_all((nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Call))):
                raise SecurityError("the template makes a container of variables")
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, _STEPS, [], [], None, None, lineno=loop.lineno)
        for joined in list(tree.find_all(nodes.Concat)):
            joined.nodes = [nodes.Filter(part, _TEXT, [], [], None, None, lineno=joined.lineno) for part in joined.nodes]
        return tree

    def steps(self, values: Iterable[Any]) -> Iterator[Any]:
        """Yield the values of a loop, each counted."""
        for value in values:
            self._step()
            yield value

    def join(self, values: Iterable[Any], between: str = "") -> str:
        """Join texts, as jinja2's filter without an attribute."""
        turn = ""
        for number, value in enumerate(self.steps(values)):
            turn = _short(turn + (between if number else "") + str(_as_text(value)))
        return turn

    def out(self, value: Any) -> Any:
        """Count a value that is written."""
        self.written += len(str(_as_text(value)))
        if self.written > _LONGEST:
            raise SecurityError(f"the template writes more than {_LONGEST} characters")
        return value

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        self._step()
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int) and isinstance(right, int)
        if operator != "+" and not (operator in ("%", "//") and numbers):
            raise SecurityError(f"the template uses {operator}")
        return _short(super().call_binop(context, operator, left, right))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and not (isinstance(obj, str) and attr not in _METHODS)

    def wrap_str_format(self, value: Any) -> None:
        """Make `str.format` a method like others, which is not among those allowed."""

    def _step(self) -> None:
        self.spent += 1
        if self.spent > _MOST_STEPS:
            raise SecurityError(f"the template takes more than {_MOST_STEPS} steps")


def _short(value: Any) -> Any:
    if isinstance(value, (str, list, tuple)) and len(value) > _LONGEST:
        raise SecurityError(f"the template makes a text of {len(value)} characters")
    return value


def _as_text(value: Any) -> Any:
    """Return a value that may be written: nested containers grow when they become text."""
    if value is not None and not isinstance(value, (str, int, float, Undefined)):
        raise SecurityError(f"the template writes a {type(value).__name__}")
    return _short(value)


def _replaced(text: str, old: str, new: str) -> str:
    """Replace in a text, as jinja2's filter without a count."""
    if len(text) + text.count(old) * len(new) > _LONGEST:
        raise SecurityError("the template makes a long text by replacing")
    return text.replace(old, new)


def _short_range(*limits: int) -> range:
    numbers = range(*limits)
    if len(numbers) > _MOST_NUMBERS:
        raise SecurityError(f"the template counts to {len(numbers)}")
    return numbers


def _refuse(message: object) -> None:
    raise ValueError(str(message)[:200])
