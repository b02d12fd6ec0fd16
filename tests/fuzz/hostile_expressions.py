"""Expressions and contexts made by chance, most of them meant to do harm."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from flows.expressions.functions.table import FlowFunctions
from flows.expressions.language import FLOWS

FUNCTIONS = sorted(FLOWS.functions)
NAMES = ("n", "t", "a", "b", "lines", "deep", "price", "when", "odd", "@", "big")
NUMBERS = (
    "0",
    "1",
    "-1",
    "2",
    "1e308",
    "-1e-308",
    "9223372036854775807",
    "1e999",
    "NaN",
    "0.1",
    "20",
    "99999999999999999999",
)
TEXTS = (
    "''",
    "','",
    "'12.50'",
    "'1e999'",
    "'1e-1000000'",
    "'nan'",
    "'2026-03-01'",
    "'2026-03-01T08:00:00Z'",
    "'Europe/Berlin'",
    "'../../etc/passwd'",
    "'YYYY-MM-DD'",
    "'\u0661'",
    "'\u00df'",
    "'9999-12-31T23:59:59Z'",
    "'-Infinity'",
    "'0001-01-01'",
)
LITERALS = ("[]", "{}", "null", "true", '"x"', "[1,[2,[3]]]", '{"a":{"a":1}}', '"\\u2028"')
NO_LITERALS = ('"\\u0000"', '"\\ud800"', "x", "{", "[1e999]", "NaN", "-Infinity", "99999999999999999999")
CHARACTERS = "()[]{}.,:|&!<>=*@?'\"`\\-+ \n\t\x00\ud800a1_\u00e9\U0001f600"


class Cases:
    """Pairs of an expression and a context, always the same for one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._contexts = self._made_contexts()

    def made(self, count: int) -> Iterator[tuple[str, Any]]:
        """Most look into small contexts, so that thousands are done in a minute."""
        small, large = self._contexts
        kinds: list[Callable[[], str]] = [self._expression, self._broken, self._bomb, self._noise]
        for _ in range(count):
            (make,) = self.chance.choices(kinds, (60, 15, 20, 5))
            is_large = self.chance.random() < (0.15 if make == self._bomb else 0.02)
            yield make()[:1200], large if is_large else self.chance.choice(small)

    def _expression(self, depth: int = 4) -> str:
        chance = self.chance
        if depth == 0:
            return self._leaf()
        deeper = [self._expression(depth - chance.randint(1, 2)) if depth > 1 else self._leaf() for _ in range(3)]
        first, second, third = deeper
        forms = (
            lambda: self._call(deeper),
            lambda: self._call(deeper),
            lambda: f"({first}).{chance.choice(NAMES[:9])}",
            lambda: f"({first})[{chance.choice(('0', '-1', '', '*', '::2', '::0', '1:', '99999999999999999999'))}]",
            lambda: f"{chance.choice(NAMES)}[?{first}].{{x: {second}}}",
            lambda: f"[{first}, {second}, {third}]",
            lambda: f"{{a: {first}, b: {second}}}",
            lambda: f"({first} {chance.choice(('|', '||', '&&', '==', '!=', '<', '>='))} {second})",
            lambda: f"!({first})",
            lambda: f"{chance.choice(NAMES)}.*.{chance.choice(NAMES[:9])}",
        )
        return chance.choice(forms)()

    def _call(self, arguments: list[str]) -> str:
        """Mostly with as many arguments as the function takes, and `&` where one is wanted."""
        name = self.chance.choice(FUNCTIONS)
        signature = FlowFunctions.FUNCTION_TABLE[name]["signature"]
        given = [
            f"&{text}" if argument["types"] == ["expref"] else text
            for argument, text in zip(signature, arguments, strict=False)
        ]
        if self.chance.random() < 0.05:
            given = arguments[: self.chance.randint(0, 3)]
        return f"{name}({', '.join(given)})"

    def _leaf(self) -> str:
        (pool,) = self.chance.choices((NAMES, TEXTS, NUMBERS, LITERALS, NO_LITERALS), (40, 20, 20, 19, 1))
        text = self.chance.choice(pool)
        return text if pool in (NAMES, TEXTS) else f"`{text}`"

    def _broken(self) -> str:
        """An expression with some characters changed, left out or doubled."""
        text = list(self._expression())
        for _ in range(self.chance.randint(1, 4)):
            at = self.chance.randrange(len(text) + 1)
            text[at : at + self.chance.randint(0, 2)] = self.chance.choice(CHARACTERS) * self.chance.randint(0, 2)
        return "".join(text)

    def _bomb(self) -> str:
        chance, name = self.chance, self.chance.choice(NAMES)
        count = chance.choice((2, 5, 12, 15, 16, 20, 40, 60, 100, 200, 400))
        inner = self._expression(2)
        forms = (
            lambda: "[@,@]|" * count + f"{chance.choice(FUNCTIONS)}(@)",
            lambda: f"{name}|" + "[@,@]|" * min(count, 14) + inner,
            lambda: f"{name}|" + "[@,@][]|" * min(count, 14) + f"map(&{inner},@)",
            lambda: "map(&[@,@]," * count + name + ")" * count,
            lambda: "map(&map(&" * min(count, 10) + inner + ",@),@)" * min(count, 10),
            lambda: chance.choice("([{!&*`'\"") * count + name + chance.choice(")]}`'\"") * count,
            lambda: "replace(" * min(count, 30) + name + ",'a','aaaaaaaaaaaaaaaa')" * min(count, 30),
            lambda: "multiply(" * min(count, 30) + "'9999999999'" + ",'9999999999')" * min(count, 30),
            lambda: "join('x'," * min(count, 30) + "[t,t]" + ")" * min(count, 30),
            lambda: f"join(',',[{','.join(['t'] * count)}])",
            lambda: f"[{','.join(['t'] * count)}]|[@,@,@,@][]|map(&upper(@),@)",
            lambda: f"[{','.join([name] * count)}]|map(&{inner},@)|[@,@]|length(@)",
            lambda: f"length(map(&sort({inner}),[{','.join(['n'] * count)}]))",
            lambda: f"n|map(&[@,@,@,@,@,@,@],@)|map(&{{a: @, b: {inner}}},@)",
            lambda: f"length([{','.join([inner] * min(count, 12))}])",
            lambda: f"pad_left({name}, `{10 ** (count % 12)}`)",
            lambda: f"sort_by([{','.join([name] * count)}], &{inner})",
            lambda: "|".join([name] * count),
            lambda: ".".join([name] * count),
            lambda: "||".join([inner] * count),
            lambda: name + "[]" * count,
            lambda: name + "[*]" * count,
            lambda: f"`{'[' * count}{']' * count}`",
            lambda: f"`{'9' * count}`",
            lambda: f"n[{'9' * count}]",
            lambda: f"{name}[?{'!' * count}@]",
        )
        return chance.choice(forms)()

    def _noise(self) -> str:
        return "".join(self.chance.choice(CHARACTERS) for _ in range(self.chance.randint(0, 40)))

    def _made_contexts(self) -> tuple[list[Any], Any]:
        deep: Any = 1
        for _ in range(200):
            deep = [deep] if self.chance.random() < 0.5 else {"a": deep}
        small = {
            "n": [3, 1, 2.5, -7, 0],
            "t": "ab,c",
            "a": {"a": {"a": None}, "b": "12.50"},
            "b": [["x", 1], ["y", 2]],
            "lines": [{"price": "2.50", "a": "x", "when": "2026-03-01"}, {"price": 3, "b": []}, {}, None],
            "price": "12.50",
            "when": "2026-03-01T08:00:00+02:00",
            "odd": ["", None, True, "nan", "\u2028", {"": ""}, "1e999", 1e308, 2**63 - 1],
        }
        middling = {**small, "n": list(range(2000)), "t": "ab," * 5000, "deep": deep, "big": [small] * 50}
        strange: list[Any] = [
            {},
            {"a": "\x00"},
            {"a": "\ud800"},
            {"t": "x" * 2_200_000},
            {"n": float("nan"), "t": "\x7f"},
        ]
        large = {
            **small,
            "n": [self.chance.random() for _ in range(60_000)],
            "t": "a," * 200_000,
            "big": [[]] * 100_000,
        }
        return [small] * 12 + [middling] * 2 + strange[: self.chance.randint(3, 5)], large
