"""The widget of one plain field: a box, a slider with a box, a menu, a tick, a date; and what it holds.

It owns widgets and the way from them to JSON values. It knows no schema, no form and nobody who would use the
values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from mcpnb.notebook.fields import Choice, Field
from mcpnb.notebook.forms.kit import Kit, Suggest, framed, keep_order
from mcpnb.notebook.markup import escape, shorten, visible

__all__ = ["LEFT_OUT", "Control", "Hidden", "control", "label"]


class _LeftOut:
    """The value of a field that is not given."""

    def __repr__(self) -> str:
        return "left out"


LEFT_OUT: Final[Any] = _LeftOut()


class Hidden(str):
    """A text that is written `•••`: a form's code and its errors stand in notebooks that are passed on."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'•••'"

    @property
    def shown(self) -> str:
        """The text itself."""
        return str.__str__(self)


_LABEL: Final = 60
"""Characters of a field's title and of a menu's choices."""
_SUGGESTED: Final = 200
"""Characters of what a box suggests."""
_STEPS: Final = 10_000
"""Positions of a slider beyond which a hand could not find one."""
_OPEN: Final = -2
_NULL: Final = -1
"""What a menu holds while nothing is chosen, and for null."""
_WIDTH: Final = "150px"
"""Of the labels; the style sheet leaves as much beside a field's help."""


class Control(NamedTuple):
    """The widgets of a field."""

    shown: tuple[Any, ...]
    """In a row, the one that bears the label first."""
    inputs: tuple[Any, ...]
    """Those of them that take something."""
    get: Callable[[], Any]
    """The value that they hold, or LEFT_OUT; ValueError when they hold none."""


def label(field: Field) -> str:
    """What stands before a field: its title, marked when it is needed."""
    return shorten(visible(field.title), _LABEL) + (" *" if field.required else "")


def control(kit: Kit, field: Field, start: Any) -> Control:
    """The widgets of a plain field. `start` is the value that they hold at first, or LEFT_OUT."""
    makers: Mapping[str, Callable[[Kit, Field, Any], Control]] = {
        "boolean": _boolean,
        "choice": _menu,
        "choices": _several,
        "constant": _constant,
        "integer": _number,
        "json": _json,
        "number": _number,
    }
    return makers.get(field.kind, _text)(kit, field, start)


def _common(field: Field) -> dict[str, Any]:
    return {
        "description": label(field),
        "tooltip": field.hint,
        "style": {"description_width": _WIDTH},
        "layout": {"width": "560px", "max_width": "calc(100% - 4px)"},
    }


# -- texts


def _text(kit: Kit, field: Field, start: Any) -> Control:
    picker = {"date": _date, "date-time": _moment}.get(field.format)
    if picker is not None and (picked := picker(kit, field, start)):
        return picked
    made = kit.watched(_text_box(kit, field, "" if start is LEFT_OUT else start))
    may_be_empty = field.schema.get("minLength") == 0 or start == ""
    empty = "" if field.required and may_be_empty else LEFT_OUT
    kept: Callable[[str], str] = Hidden if field.secret else str

    def get() -> Any:
        return kept(field.check(made.value)) if made.value else empty

    return Control((made,), (made,), get)


def _text_box(kit: Kit, field: Field, text: str) -> Any:
    # Sent when the field is left: a click must not overtake what was typed before it.
    common = {**_common(field), "value": text, "placeholder": field.hint, "continuous_update": False}
    if field.secret:
        return kit.w.Password(**common)
    if kit.suggest is not None:
        return _suggesting(kit, kit.suggest, field, common)
    if field.examples:
        examples = list(dict.fromkeys(text for text in field.examples if len(text) <= _SUGGESTED))
        return kit.w.Combobox(options=examples, ensure_option=False, **common)
    return kit.w.Textarea(rows=4, **common) if field.long or "\n" in text else kit.w.Text(**common)


def _suggesting(kit: Kit, suggest: Suggest, field: Field, common: dict[str, Any]) -> Any:
    """A box that offers, while it is typed into, what its text may become."""
    made = kit.w.Combobox(**{**common, "continuous_update": True}, ensure_option=False)

    def asked() -> None:
        text = made.value

        def take(words: Sequence[str]) -> None:
            if made.value == text:  # else it is late: there is more by now
                made.options = [word for word in words if word.isprintable() and len(word) <= _SUGGESTED]

        suggest(field.name, text, take)

    kit.observe(made, asked)
    return made


def _json(kit: Kit, field: Field, start: Any) -> Control:
    text = "" if start is LEFT_OUT else json.dumps(start, ensure_ascii=False, indent=2)
    common = {**_common(field), "value": text, "placeholder": field.hint, "continuous_update": False}
    made = kit.watched(kit.w.Textarea(rows=min(10, 2 + text.count("\n")), **common))
    made.add_class("mcpnb-json")
    return Control((made,), (made,), lambda: field.parse(made.value) if made.value.strip() else LEFT_OUT)


def _date(kit: Kit, field: Field, start: Any) -> Control | None:
    """A calendar; None when it could not show what is there."""
    try:
        day = None if start is LEFT_OUT else date.fromisoformat(start)
    except ValueError:
        return None
    made = kit.watched(kit.w.DatePicker(**{**_common(field), "value": day}))

    def get() -> Any:
        if made.value is None:
            return LEFT_OUT
        return start if made.value == day else made.value.isoformat()  # untouched, as it was written

    return Control((made,), (made,), get)


def _moment(kit: Kit, field: Field, start: Any) -> Control | None:
    """A calendar with a clock, in the time zone of the page; None as above."""
    try:
        at = None if start is LEFT_OUT else datetime.fromisoformat(start)
    except ValueError:
        return None
    if at is not None and at.tzinfo is None:
        return None
    made = kit.watched(kit.w.DatetimePicker(**{**_common(field), "value": at}))

    def get() -> Any:
        if made.value is None:
            return LEFT_OUT
        if made.value == at:  # untouched, it goes as it was written
            return start
        return made.value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    return Control((made,), (made,), get)


# -- numbers


def _number(kit: Kit, field: Field, start: Any) -> Control:
    text = "" if start is LEFT_OUT else repr(start)
    common = {**_common(field), "layout": {"width": "350px", "max_width": "calc(100% - 4px)"}}
    made = kit.watched(kit.w.Text(value=text, placeholder=field.hint, continuous_update=False, **common))

    def get() -> Any:
        return field.parse(made.value) if made.value.strip() else LEFT_OUT

    if (slider := _slider(kit, field, start)) is None:
        return Control((made,), (made,), get)
    _follow_each_other(field, made, slider)
    return Control((made, slider), (made, slider), get)


def _slider(kit: Kit, field: Field, start: Any) -> Any:
    """A slider, where a number has two bounds and not too many steps."""
    low, high = field.least, field.most
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
        return None
    whole = field.kind == "integer"
    step = field.step or (1 if whole else _step(high - low))
    if not math.isfinite(step) or step <= 0 or (high - low) / step > _STEPS:
        return None
    if field.step:  # a page counts steps from the slider's end
        low, high = _multiples(low, high, step)
    if low >= high:
        return None
    if whole and not (float(low).is_integer() and float(high).is_integer() and float(step).is_integer()):
        return None
    number = int if whole else float
    made = (kit.w.IntSlider if whole else kit.w.FloatSlider)(
        value=number(low if start is LEFT_OUT else min(max(start, low), high)),
        min=number(low),
        max=number(high),
        step=number(step),
        readout=False,
        description=f"Slider for {label(field)}",
        tooltip=field.hint,
        continuous_update=False,
        layout={"width": "200px"},
    )
    made.add_class("mcpnb-unlabelled")
    keep_order(made.comm)
    return made


def _step(span: float) -> float:
    """A round step, a hundred or more of which make the span."""
    return 10.0 ** (math.floor(math.log10(span)) - 2)


def _multiples(low: float, high: float, step: float) -> tuple[float, float]:
    """The least and the greatest multiple of `step` between two bounds."""
    low_, high_, step_ = (Decimal(repr(value)) for value in (low, high, step))
    return float(math.ceil(low_ / step_) * step_), float(math.floor(high_ / step_) * step_)


def _decimals(value: float) -> int:
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _follow_each_other(field: Field, box: Any, slider: Any) -> None:
    """The box holds the value; the slider is a second way to write it."""
    digits = max(_decimals(slider.step), _decimals(slider.min))

    def slid(change: Mapping[str, Any]) -> None:
        text = f"{change['new']:.{digits}f}"
        if box.value != text and not typed(box.value, change["new"]):
            box.value = text

    def typed(text: str, shown: float) -> bool:
        """Whether the slider stands where it does because the box says so."""
        try:
            return min(max(field.parse(text), slider.min), slider.max) == shown
        except ValueError:
            return False

    def boxed(change: Mapping[str, Any]) -> None:
        try:
            slider.value = min(max(field.parse(change["new"]), slider.min), slider.max)
        except ValueError:
            return  # said beside the box

    slider.observe(slid, "value")
    box.observe(boxed, "value")


# -- choices


def _boolean(kit: Kit, field: Field, start: Any) -> Control:
    """A tick; a menu where neither yes nor no is an answer, too."""
    if field.nullable or (start is LEFT_OUT and not field.required):
        return _chosen(kit, field, (Choice("yes", True), Choice("no", False)), start)
    common = {**_common(field), "layout": {"width": "auto"}}
    made = kit.watched(kit.w.Checkbox(value=start is True, **common))
    return Control((made,), (made,), lambda: bool(made.value))


def _menu(kit: Kit, field: Field, start: Any) -> Control:
    return _chosen(kit, field, field.choices, start)


def _chosen(kit: Kit, field: Field, choices: Sequence[Choice], start: Any) -> Control:
    """A menu. It can be left open, so that nothing is chosen that nobody chose."""
    options = [(shorten(visible(name), _LABEL), number) for number, (name, _) in enumerate(choices)]
    null = [("null", _NULL)] if field.nullable else []
    options = [("choose one" if field.required else "left out", _OPEN), *null, *options]
    place = _OPEN if start is LEFT_OUT else replace(field, choices=tuple(choices)).place(start)
    made = kit.watched(
        kit.w.Dropdown(options=options, value=_NULL if place is None else place, **_common(field))
    )

    def get() -> Any:
        if made.value == _OPEN:
            return LEFT_OUT
        return None if made.value == _NULL else choices[made.value][1]

    return Control((made,), (made,), get)


def _several(kit: Kit, field: Field, start: Any) -> Control:
    options = [(shorten(visible(each.label), _LABEL), number) for number, each in enumerate(field.choices)]
    values = [] if start is LEFT_OUT else start
    places = {place for value in values if (place := field.place(value)) is not None}
    made = kit.watched(
        kit.w.SelectMultiple(
            options=options,
            value=sorted(places),
            rows=min(len(options), 6),
            **_common(field),
        )
    )

    def get() -> Any:
        values = [field.choices[place].value for place in made.value]
        return field.check(values) if values or field.required else LEFT_OUT

    return Control((made,), (made,), get)


def _constant(kit: Kit, field: Field, start: Any) -> Control:
    """Shown, and a tick where it may be left out."""
    value = field.choices[0].value
    code = f"<code>{escape(shorten(visible(repr(value)), _LABEL))}</code>"
    if field.required or start is not LEFT_OUT:
        shown = kit.w.HTML(framed(code), description=label(field), style={"description_width": _WIDTH})
        return Control((shown,), (), lambda: value)
    ticked = replace(field, title=f"{field.title}: {shorten(repr(value), _LABEL)}", kind="boolean")
    common = {**_common(ticked), "layout": {"width": "auto"}}
    made = kit.watched(kit.w.Checkbox(value=False, **common))
    return Control((made,), (made,), lambda: value if made.value else LEFT_OUT)
