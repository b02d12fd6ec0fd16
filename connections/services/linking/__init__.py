"""Link, the connect flow: what a page, the API and the admin call. The pages are the room above's.

A session goes `find_session` -> `begin` -> `choose_system` -> `submit`, or `start_oauth` and `take_oauth_answer` ->
`choose_places` -> `finish`, and its code through `exchange`. What a customer entered is kept only when a live test of it
went well, encrypted, and an hour at the most.
"""

from connections.services.linking.drafts import (
    SystemChoice,
    choose_system,
    forget_stale_links,
    form_of,
    systems_of,
    uses_oauth,
)
from connections.services.linking.errors import LinkError
from connections.services.linking.exchanging import default_scopes, exchange
from connections.services.linking.finishing import Finished, finish, hand_over_again, may_hand_over_again
from connections.services.linking.making import create_link_session
from connections.services.linking.oauth import start_oauth, take_oauth_answer
from connections.services.linking.outcomes import FieldChoices, LinkCheck, Outcome, Row, outcome_of
from connections.services.linking.sessions import (
    begin,
    cancel,
    find_session,
    link_address,
    opener_origin,
    return_address,
    shown_id,
    status_of,
    take_over,
)
from connections.services.linking.testing import attempt_of, choose_places, submit

__all__ = [
    "FieldChoices",
    "Finished",
    "LinkCheck",
    "LinkError",
    "Outcome",
    "Row",
    "SystemChoice",
    "attempt_of",
    "begin",
    "cancel",
    "choose_places",
    "choose_system",
    "create_link_session",
    "default_scopes",
    "exchange",
    "find_session",
    "finish",
    "forget_stale_links",
    "form_of",
    "hand_over_again",
    "link_address",
    "may_hand_over_again",
    "opener_origin",
    "outcome_of",
    "return_address",
    "shown_id",
    "start_oauth",
    "status_of",
    "submit",
    "systems_of",
    "take_oauth_answer",
    "take_over",
    "uses_oauth",
]
