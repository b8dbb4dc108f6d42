"""Routes that there are not, methods that a route does not have, and names of models, strategies and jobs."""

from __future__ import annotations

from benchmarks.hostile.request import CASE, Hostile, Server, as_params, plain, posted, quick, sound_label
from benchmarks.hostile.wire import Part

_GONE = (
    ("POST", "/reload"),
    ("POST", "/reload/"),
    ("GET", "/reload"),
    ("GET", "/logs/"),
    ("GET", "/logs/?logfile=../../secret.txt"),
    ("GET", "/logs/gpu"),
    ("GET", "/proxy/dicom/instances"),
    ("GET", "/proxy/http%3A%2F%2F127.0.0.1"),
    ("PUT", "/session/"),
    ("GET", "/session/1234"),
    ("DELETE", "/session/1234"),
    ("GET", "/model/motion"),
    ("PUT", "/model/motion"),
    ("GET", "/model/info/motion"),
    ("GET", "/model/..%2F..%2Fserver.py"),
    ("POST", "/batch/infer/motion"),
    ("GET", "/batch/infer"),
    ("POST", "/scoring/"),
    ("POST", "/scoring/sum"),
    ("POST", "/infer/wsi/motion"),
    ("POST", "/infer/wsi_v2/motion"),
    ("POST", "/wsi/infer/motion"),
    ("GET", "/ohif/"),
    ("GET", "/ohif/../../secret.txt"),
    ("GET", "/docs"),
    ("GET", "/docs/oauth2-redirect"),
    ("GET", "/redoc"),
    ("GET", "/static/index.html"),
    ("GET", "/static/..%2f..%2fserver.py"),
    ("GET", "/"),
    ("GET", "/index.html"),
    ("GET", "/favicon.ico"),
    ("GET", "/.env"),
    ("GET", "/.git/config"),
    ("GET", "/etc/passwd"),
    ("GET", "//etc/passwd"),
    ("GET", "/../../../../etc/passwd"),
    ("GET", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    ("GET", "/info"),
    ("GET", "/info/../datastore/"),
    ("GET", "/info//"),
    ("GET", "/INFO/"),
    ("GET", "/info/%00"),
    ("GET", "/datastore"),
    ("GET", "/datastore/../../secret.txt"),
    ("GET", "/datastore/label/../../secret"),
    ("GET", "/datastore/updatelabelinfo"),
    ("POST", "/login"),
    ("POST", "/token"),
    ("POST", "/auth/token"),
    ("GET", "/users/me"),
    ("GET", "/models/motion/versions"),
    ("GET", "/%"),
    ("GET", "/%zz"),
    ("GET", "/%F0%9F%AB%80"),
    ("GET", "/?a=b&a=c&&&===%00"),
)

_WRONG_METHODS = (
    ("DELETE", f"/datastore/image?image={CASE}"),
    ("DELETE", f"/datastore/label?label={CASE}"),
    ("DELETE", f"/datastore/label?id={CASE}&tag=final"),
    ("DELETE", "/datastore/"),
    ("POST", f"/datastore/image?image={CASE}"),
    ("POST", f"/datastore/label?image={CASE}"),
    ("PATCH", f"/datastore/label?image={CASE}"),
    ("PUT", f"/datastore/label/info?label={CASE}"),
    ("PUT", f"/datastore/image/info?image={CASE}"),
    ("GET", "/infer/motion?image=case-001"),
    ("PUT", "/infer/motion?image=case-001"),
    ("DELETE", "/infer/motion"),
    ("GET", "/activelearning/random"),
    ("POST", "/info/"),
    ("DELETE", "/info/"),
    ("PUT", "/info/"),
    ("TRACE", "/info/"),
    ("OPTIONS", "/info/"),
    ("OPTIONS", f"/datastore/label?image={CASE}"),
    ("PROPFIND", "/"),
    ("MKCOL", "/datastore/evil"),
    ("MOVE", f"/datastore/image?image={CASE}"),
    ("HEAD", "/infer/motion"),
    ("HEAD", "/reload"),
    ("FOO", "/info/"),
    ("get", "/info/"),
    ("GETGETGET" * 20, "/info/"),
)

_MODELS = {
    "unknown": "unknown",
    "another case": "MOTION",
    "null": "motion%00",
    "parent": "..%2Fmotion",
    "backslash": "..%5Cmotion",
    "absolute": "%2Fetc%2Fpasswd",
    "space": "motion%20",
    "class": "__class__",
    "line": "motion%0A",
    "emoji": "%F0%9F%AB%80",
    "invalid UTF-8": "%FF",
    "surrogate": "%ED%A0%80",
    "long": "m" * 5000,
    "not there yet": "generate",
}


def _infer() -> list[Part]:
    return [sound_label(), as_params(quick())]


def _names() -> list[Hostile]:
    found = []
    for what, name in _MODELS.items():
        found += [
            posted(f"infer of a model: {what}", "POST", f"/infer/{name}?image={CASE}", 404, parts=_infer),
            posted(f"job of a model: {what}", "POST", f"/jobs/infer/{name}?image={CASE}", 404, parts=_infer),
            plain(f"strategy: {what}", "POST", f"/activelearning/{name}", 404),
            plain(f"training: {what}", "POST", f"/train/{name}", 404),
        ]
    found += [
        posted("infer of no model", "POST", f"/infer/?image={CASE}", 404, parts=_infer),
        posted("infer of a path", "POST", f"/infer/motion/../../reload?image={CASE}", 404, parts=_infer),
        plain("no strategy", "POST", "/activelearning/", 404),
    ]
    return found


LONG_WORK = {"key_frames": [0], "options": {"iterations": 10_000, "levels": 1}}
"""Takes minutes, and is cancelled long before."""


def _long_job(server: Server) -> dict[str, str]:
    return {"@JOB@": server.start_job(params=LONG_WORK)}


def _cancelled_job(server: Server) -> dict[str, str]:
    job = server.start_job(params=LONG_WORK)
    server.cancel_job(job)
    server.wait_for_job(job, ("cancelled",))
    return {"@JOB@": job}


def _forgotten_job(server: Server) -> dict[str, str]:
    found = _cancelled_job(server)
    server.cancel_job(found["@JOB@"])
    return found


def _failed_job(server: Server) -> dict[str, str]:
    job = server.start_job(params={"key_frames": [0], "reference": 99})
    server.wait_for_job(job, ("failed",))
    return {"@JOB@": job}


_JOB_IDS = {
    "unknown": "0" * 32,
    "path": "..%2F..%2Fsecret",
    "absolute": "%2Fetc%2Fpasswd",
    "null": "%00",
    "wildcard": "*",
    "long": "f" * 10_000,
    "invalid UTF-8": "%FF%FE",
    "number": "0",
    "infer": "infer",
}


def _jobs() -> list[Hostile]:
    found = []
    for what, name in _JOB_IDS.items():
        found += [
            plain(f"state of a job: {what}", "GET", f"/jobs/{name}", 404),
            plain(f"result of a job: {what}", "GET", f"/jobs/{name}/result", 404),
            plain(f"cancel of a job: {what}", "DELETE", f"/jobs/{name}", 404),
        ]
    found += [
        plain("list of jobs", "GET", "/jobs/", 404),
        plain("all jobs cancelled", "DELETE", "/jobs/", 404),
        plain("result of a job under way", "GET", "/jobs/@JOB@/result", 409, prepare=_long_job),
        plain("file of a job under way", "GET", "/jobs/@JOB@/result?output=image", 409, prepare=_long_job),
        plain("result of a job, unknown output", "GET", "/jobs/@JOB@/result?output=zip", 422, prepare=_long_job),
        plain("a job's id with a space", "GET", "/jobs/@JOB@%20", 404, prepare=_long_job),
        plain("a job's id and a path", "GET", "/jobs/@JOB@%2F..%2Fresult", 404, prepare=_long_job),
        plain("a job posted to", "POST", "/jobs/@JOB@", 405, prepare=_long_job),
        plain("a job put", "PUT", "/jobs/@JOB@/result", 405, prepare=_long_job),
        plain("result of a job that was cancelled", "GET", "/jobs/@JOB@/result", 409, prepare=_cancelled_job),
        plain("a job cancelled twice", "DELETE", "/jobs/@JOB@", 200, prepare=_cancelled_job),
        plain("a job cancelled thrice", "DELETE", "/jobs/@JOB@", 404, prepare=_forgotten_job),
        plain("result of a job that failed", "GET", "/jobs/@JOB@/result", 422, prepare=_failed_job),
    ]
    return found


REQUESTS = [
    *(plain(f"no such route: {method} {target}", method, target, 404, 405) for method, target in _GONE),
    *(
        plain(f"no such method: {method[:30]} {target}", method, target, 404, 405)
        for method, target in _WRONG_METHODS
        if method != "get"
    ),
    plain("a method in small letters", "get", "/info/", 400, 404, 405, by_parser=True),
    plain("training that is not there", "GET", "/train/", 404),
    plain("training that is not there, ended", "DELETE", "/train/", 404),
    *_names(),
    *_jobs(),
]
