"""requests-oauthlib, the usual OAuth 2 client of Python, against a running `retwine demo`.

How to install and run it: README.md beside this file.
"""

import os
import uuid
from contextlib import contextmanager
from urllib.parse import urljoin

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # The demo has no TLS.

from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

BASE_URL, CLIENT_ID, CLIENT_SECRET, ORG_ID, GROUP_ID = (
    os.environ[name] for name in ("BASE_URL", "CLIENT_ID", "CLIENT_SECRET", "ORG_ID", "GROUP_ID")
)
TOKEN_URL = f"{BASE_URL}/oauth/token"
BASIC = HTTPBasicAuth(CLIENT_ID, CLIENT_SECRET)
JSON_API = {"Content-Type": "application/vnd.api+json"}


def session(**options):
    return OAuth2Session(client=BackendApplicationClient(CLIENT_ID, scope=options.pop("scope", None)), **options)


def authorized():
    api = session()
    api.fetch_token(TOKEN_URL, client_secret=CLIENT_SECRET)
    return api


def answer(response, status):
    assert response.status_code == status, (response.status_code, response.text)
    assert response.headers["Content-Type"] == "application/vnd.api+json"
    return response.json()


def groups(api, status=200):
    return answer(api.get(f"{BASE_URL}/group", params={"filter[organization]": ORG_ID}), status)


@contextmanager
def raises(code):
    """The library is to raise the error of this RFC 6749 code."""
    try:
        yield
    except OAuth2Error as error:
        assert error.error == code and error.description, error
        return
    raise AssertionError(f"{code} was to be raised")


def client_in_http_basic():
    api = session()
    token = api.fetch_token(TOKEN_URL, auth=BASIC)
    assert token["token_type"].lower() == "bearer" and token["expires_in"] > 0
    assert GROUP_ID in [group["id"] for group in groups(api)["data"]]


def client_in_the_body():
    api = session()
    api.fetch_token(TOKEN_URL, client_secret=CLIENT_SECRET, include_client_id=True)
    assert GROUP_ID in [group["id"] for group in groups(api)["data"]]


def token_url_without_pub():
    api = session()
    api.fetch_token(urljoin(BASE_URL, "/oauth/token"), auth=BASIC)
    groups(api)


def scope_that_is_asked_for():
    # The library raises a warning if the answer names another.
    token = session(scope=["organization"]).fetch_token(TOKEN_URL, auth=BASIC)
    assert token["scope"] == ["organization"]


def errors_are_those_of_the_library():
    with raises("invalid_client"):
        session().fetch_token(TOKEN_URL, client_secret=str(uuid.uuid4()))
    with raises("invalid_client"):
        session().fetch_token(TOKEN_URL, client_secret=str(uuid.uuid4()), include_client_id=True)
    with raises("invalid_request"):
        session().fetch_token(TOKEN_URL, auth=lambda request: request)
    with raises("unsupported_grant_type"):
        legacy = OAuth2Session(client=LegacyApplicationClient(CLIENT_ID))
        legacy.fetch_token(TOKEN_URL, username="wren", password="wren", client_secret=CLIENT_SECRET)
    with raises("invalid_grant"):
        session().refresh_token(TOKEN_URL, refresh_token=str(uuid.uuid4()), auth=BASIC)


def refresh_token():
    api = authorized()
    first = api.token
    # The client in HTTP Basic, then in the body.
    for client in ({"auth": BASIC}, {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}):
        before = api.token
        api.refresh_token(TOKEN_URL, **client)
        assert api.token["access_token"] != before["access_token"]
        assert api.token["refresh_token"] != before["refresh_token"]
        groups(api)

    with raises("invalid_grant"):
        session().refresh_token(TOKEN_URL, refresh_token=first["refresh_token"], auth=BASIC)
    # A spent refresh token ends all that came of the first.
    groups(api, status=401)


def refresh_of_itself():
    expired = {**authorized().token, "expires_at": 1}
    renewed = []
    api = session(
        token=expired,
        auto_refresh_url=TOKEN_URL,
        auto_refresh_kwargs={"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        token_updater=renewed.append,
    )
    groups(api)
    assert [token["access_token"] for token in renewed] == [api.token["access_token"]]
    assert api.token["access_token"] != expired["access_token"]


def patients_page_by_page():
    api = authorized()
    for page in ({"page[size]": 10}, {"page[limit]": 7}):
        document = answer(api.get(f"{BASE_URL}/patient", params={"filter[organization]": ORG_ID, **page}), 200)
        found = [patient["id"] for patient in document["data"]]
        while link := document["links"].get("next"):
            document = answer(api.get(urljoin(BASE_URL, link)), 200)
            found += [patient["id"] for patient in document["data"]]
        assert len(found) == len(set(found)) == document["meta"]["count"] > 10


def patient_created_and_sent_back():
    api = authorized()
    identifier = {"system": "oauthlib-test", "value": str(uuid.uuid4())}
    body = {
        "data": {
            "type": "patient",
            "attributes": {"first_name": "Ilse", "last_name": "Børgesen", "identifiers": [identifier]},
            "relationships": {"groups": {"data": [{"type": "group", "id": GROUP_ID}]}},
        }
    }
    created = answer(api.post(f"{BASE_URL}/patient", json=body, headers=JSON_API), 201)["data"]
    assert created["attributes"]["last_name"] == "Børgesen"
    # The same once more, as application/json: the identifier is taken.
    [error] = answer(api.post(f"{BASE_URL}/patient", json=body), 409)["errors"]
    assert error["code"] == "InvalidBodyParameter"
    assert error["source"]["pointer"] == "/data/attributes/identifiers/0"

    url = urljoin(BASE_URL, created["links"]["self"])
    document = answer(api.get(url), 200)
    assert document["data"] == created
    document["data"]["attributes"]["note"] = "Walks the dog at seven."
    updated = answer(api.patch(url, json=document, headers=JSON_API), 200)["data"]
    assert updated["attributes"].pop("updated_at") >= created["attributes"].pop("updated_at")
    assert updated["attributes"] == {**created["attributes"], "note": "Walks the dog at seven."}
    assert updated["relationships"] == created["relationships"]


def metric_of_a_patient_known_by_an_identifier():
    api = authorized()
    identifier = {"system": "oauthlib-test", "value": str(uuid.uuid4())}
    query = {"meta": {"query": {"identifier": identifier, "groups": [GROUP_ID]}}}
    patient = {"type": "patient", "attributes": {"first_name": "Anselm"}}
    patient = answer(api.put(f"{BASE_URL}/patient", json={"data": patient, **query}, headers=JSON_API), 200)["data"]

    def weight(day, value):
        occurred_at = f"2026-02-{day}T07:00:00+01:00"
        return {
            "type": "patient_health_metric",
            "attributes": {"type": "weight", "value": value, "unit": "kg", "occurred_at": occurred_at},
            "relationships": {"patient": {"data": {"type": "patient", **query}}},
        }

    url = f"{BASE_URL}/patient_health_metric"
    body = {"data": [weight(10, 81.5), weight(11, "81.4")]}
    stored = answer(api.post(url, json=body, headers=JSON_API), 200)["data"]
    assert [metric["attributes"]["value"] for metric in stored] == [81.5, "81.4"]
    assert [metric["relationships"]["patient"]["data"]["id"] for metric in stored] == [patient["id"]] * 2
    related = urljoin(BASE_URL, stored[0]["relationships"]["patient"]["links"]["related"])
    assert answer(api.get(related), 200)["data"] == patient
    listed = api.get(url, params={"filter[patient]": patient["id"], "sort": "-occurred_at"})
    assert answer(listed, 200)["data"] == stored[::-1]


for step in (
    client_in_http_basic,
    client_in_the_body,
    token_url_without_pub,
    scope_that_is_asked_for,
    errors_are_those_of_the_library,
    refresh_token,
    refresh_of_itself,
    patients_page_by_page,
    patient_created_and_sent_back,
    metric_of_a_patient_known_by_an_identifier,
):
    step()
    print("ok ", step.__name__.replace("_", " "))
