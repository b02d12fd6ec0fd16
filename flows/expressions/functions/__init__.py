"""The functions of the language: JMESPath's own, a few of them stricter, and those added here.

All of them answer the same for the same input, and none knows the time, the network or chance.
"""

from __future__ import annotations

from flows.expressions.functions import lists, numbers, texts, times
from flows.expressions.functions.table import ADDED, FlowFunctions, FunctionFailedError

FlowFunctions.FUNCTION_TABLE = {**FlowFunctions.FUNCTION_TABLE, **ADDED}
FUNCTIONS = FlowFunctions()

__all__ = ["ADDED", "FUNCTIONS", "FunctionFailedError", "lists", "numbers", "texts", "times"]
