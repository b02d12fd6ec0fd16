"""How the two processes speak: a request is its kind, its length and JSON; an answer its kind, processor time and JSON.

RENDER: [[expressions], context] is answered once, by VALUES or REFUSED. MATCH: [expression, [contexts]] is answered once for
each context, by VALUES (`true` or `false`) or REFUSED. REFUSED is [position, code, reason]. READY comes once, after the start.
OUT_OF_MEMORY is the last thing a helper says.
"""

from __future__ import annotations

import struct

REQUEST = struct.Struct(">BI")
ANSWER = struct.Struct(">BdI")
"""The number between is how many seconds of processor time the helper has used since it began."""

RENDER, MATCH = 1, 2
READY, VALUES, REFUSED, OUT_OF_MEMORY = 1, 2, 3, 4
