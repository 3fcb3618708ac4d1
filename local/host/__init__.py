"""The functions of this app as Azure runs them: Microsoft's worker library behind a local host."""

from local.host.authorization import Keys
from local.host.function_json import AppError, Function, read_functions
from local.host.host_log import HostLog
from local.host.http_message import HttpAnswer, Request
from local.host.http_server import Answer
from local.host.server import Host, Middleware
from local.host.worker import InvocationFailed, LoadFailed, Worker

__all__ = [
    "Answer",
    "AppError",
    "Function",
    "Host",
    "HostLog",
    "HttpAnswer",
    "InvocationFailed",
    "Keys",
    "LoadFailed",
    "Middleware",
    "Request",
    "Worker",
    "read_functions",
]
