"""python-socketio as applications use it: for each event a handler that takes one argument, and calls that wait for the ack.

usage: client.py OPTIONS, a JSON object: {"kind": "async" or "sync", "url", "auth", "transports", "namespaces", "inOrder"?}

A line of stdin is a call, [NAMESPACE, EVENT, DATA]; with the end of stdin it disconnects and ends. A line of stdout is what came:
{"transport": ...} on connecting, {"namespace": ..., "event": ..., "data": ...} or {"ack": ...}. Bytes are written as Node writes a
Buffer, {"type": "Buffer", "data": [...]}.
"""

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import socketio

EVENTS = [
    "session", "message", "message:new", "messageReceived", "conversation:read", "typing", "presence:join", "presence:leave",
    "notification", "notification:new", "notification:read", "notifications:unread", "orderUpdate", "project:update", "stage:completed",
    "error", "exception", "new_order", "order_shipped", "server:stats",
]
RECONNECTION = {"reconnection_delay": 0.1, "reconnection_delay_max": 0.5, "randomization_factor": 0}
PATIENCE = 10


def tell(what):
    # In one write, because several threads write.
    sys.stdout.write(json.dumps(what, default=lambda data: {"type": "Buffer", "data": list(data)}) + "\n")
    sys.stdout.flush()


def read(line):
    return json.loads(line, object_hook=lambda made: bytes(made["data"]) if made.get("type") == "Buffer" else made)


def telling(namespace, event):
    def on_event(data):
        tell({"namespace": namespace, "event": event, "data": data})

    return on_event


def telling_async(namespace, event):
    async def on_event(data):
        tell({"namespace": namespace, "event": event, "data": data})

    return on_event


def listen(client, namespaces, handler):
    client.on("connect", lambda: tell({"transport": client.transport()}))
    for namespace in namespaces:
        for event in EVENTS:
            client.on(event, handler(namespace, event), namespace=namespace)


def take_in_order(client):
    """One thread takes all packets. By itself this client starts a thread for each, and they may overtake each other, the parts of one event too."""
    one = ThreadPoolExecutor(max_workers=1)
    engine = client.eio
    start = engine.start_background_task
    engine.start_background_task = lambda target, *args: (one.submit if target is engine.handlers["message"] else start)(target, *args)


def run(url, auth, transports, namespaces, in_order):
    client = socketio.Client(**RECONNECTION)
    listen(client, namespaces, telling)
    if in_order:
        take_in_order(client)
    client.connect(url, auth=auth, namespaces=namespaces, transports=transports, wait_timeout=PATIENCE)
    for line in sys.stdin:
        namespace, event, data = read(line)
        tell({"ack": client.call(event, data, namespace=namespace, timeout=PATIENCE)})
    client.disconnect()


async def run_async(url, auth, transports, namespaces):
    client = socketio.AsyncClient(**RECONNECTION)
    listen(client, namespaces, telling_async)
    await client.connect(url, auth=auth, namespaces=namespaces, transports=transports, wait_timeout=PATIENCE)
    while line := await asyncio.to_thread(sys.stdin.readline):
        namespace, event, data = read(line)
        tell({"ack": await client.call(event, data, namespace=namespace, timeout=PATIENCE)})
    await client.disconnect()


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    where = [options[name] for name in ("url", "auth", "transports", "namespaces")]
    if options["kind"] == "async":
        asyncio.run(run_async(*where))
    else:
        run(*where, options.get("inOrder", False))
