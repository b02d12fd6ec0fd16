"""The door's second transport: many small POSTs at once from one thread, for webhook deliveries.

libcurl does the talking. The same policy and the same resolver judge as for a `Door`: a new connection is made only to
an address from a lookup that was made for it, and connections that are open are used again, as there.
"""

from core.http.bulk.door import BulkDoor
from core.http.bulk.messages import BulkRequest, BulkResult

__all__ = ["BulkDoor", "BulkRequest", "BulkResult"]
