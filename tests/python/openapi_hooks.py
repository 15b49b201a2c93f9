"""What schemathesis has to know of the gateway beyond its document; test_openapi.py loads it into schemathesis.

The gateway is left standing for as long as it is tested: whoever asks is not banned, merged or erased by what is made up.
"""

import atexit
import json
import os
import pathlib

import schemathesis
from schemathesis.checks import CHECKS

OWN_ID = os.environ["HUBGATE_OWN_ID"]
NOBODY = "00000000-0000-4000-8000-000000000000"
# What anybody may do to themselves without an end to what they ask with.
HARMLESS = ("/permanenttokens", "/applicationPasswords")
# The operations that have carried something out, told at the end.
done = set()


@schemathesis.hook
def after_call(context, case, response):
    if 200 <= response.status_code < 300:
        done.add(case.operation.label)


@atexit.register
def tell():
    pathlib.Path(os.environ["HUBGATE_DONE"]).write_text(json.dumps(sorted(done)))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts nobody's id where the own one would end the test."""
    if case.method.upper() in ("GET", "HEAD", "OPTIONS") or case.operation.path.endswith(HARMLESS):
        return
    if isinstance(case.path_parameters, dict):
        for name, value in case.path_parameters.items():
            if value in (OWN_ID, "me"):
                case.path_parameters[name] = NOBODY
    if OWN_ID and isinstance(case.body, (dict, list)):
        text = json.dumps(case.body)
        if OWN_ID in text:
            case.body = json.loads(text.replace(OWN_ID, NOBODY))


def _is_silent_update(response, case) -> bool:
    """An update answers with nothing unless `fields` says what of it, which a document of OpenAPI cannot say."""
    description = case.operation.definition.raw["responses"]["200"]["description"]
    update = description.startswith("Done; nothing, unless `fields`")
    return update and response.status_code == 200 and response.content == b"" and not (case.query or {}).get("fields")


content_type_conformance = CHECKS.get_one("content_type_conformance")
response_schema_conformance = CHECKS.get_one("response_schema_conformance")


@schemathesis.check
def content_type_unless_silent(ctx, response, case):
    return None if _is_silent_update(response, case) else content_type_conformance(ctx, response, case)


@schemathesis.check
def response_schema_unless_silent(ctx, response, case):
    return None if _is_silent_update(response, case) else response_schema_conformance(ctx, response, case)
