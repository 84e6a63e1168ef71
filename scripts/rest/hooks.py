"""Keeps schemathesis from changing or deleting the accounts that it signs in with."""

import schemathesis

CALLERS = {"1", "2"}  # the first accounts that scripts/rest-check makes


@schemathesis.hook
def filter_case(context, case):
    touches = case.method.upper() in ("PUT", "DELETE") and case.path == "/api/users/{id}"
    return not (touches and str(case.path_parameters.get("id")) in CALLERS)
