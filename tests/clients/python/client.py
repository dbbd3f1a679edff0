"""python-socketio as applications use it: for each event a handler that takes one argument, and calls that wait for the ack.

usage: client.py (async | sync) URL TOKEN TRANSPORT[,TRANSPORT] NAMESPACE...

A line of stdin is a call, [NAMESPACE, EVENT, DATA]; with the end of stdin it disconnects and ends. A line of stdout is what came:
{"namespace": ..., "event": ..., "data": ...} or {"ack": ...}.
"""

import asyncio
import json
import sys

import socketio

EVENTS = [
    "session", "message", "message:new", "messageReceived", "conversation:read", "typing", "presence:join", "presence:leave",
    "notification", "notification:new", "notification:read", "notifications:unread", "orderUpdate", "project:update", "stage:completed",
    "error", "exception", "new_order", "order_shipped", "server:stats",
]
RECONNECTION = {"reconnection_delay": 0.1, "reconnection_delay_max": 0.5, "randomization_factor": 0}


def tell(what):
    # In one write: threads do it at the same time.
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def telling(namespace, event):
    def on_event(data):
        tell({"namespace": namespace, "event": event, "data": data})

    return on_event


def telling_async(namespace, event):
    async def on_event(data):
        tell({"namespace": namespace, "event": event, "data": data})

    return on_event


def listen(client, namespaces, handler):
    for namespace in namespaces:
        for event in EVENTS:
            client.on(event, handler(namespace, event), namespace=namespace)


def run(url, token, transports, namespaces):
    client = socketio.Client(**RECONNECTION)
    listen(client, namespaces, telling)
    client.connect(url, auth={"token": token}, namespaces=namespaces, transports=transports)
    for line in sys.stdin:
        namespace, event, data = json.loads(line)
        tell({"ack": client.call(event, data, namespace=namespace, timeout=10)})
    client.disconnect()


async def run_async(url, token, transports, namespaces):
    client = socketio.AsyncClient(**RECONNECTION)
    listen(client, namespaces, telling_async)
    await client.connect(url, auth={"token": token}, namespaces=namespaces, transports=transports)
    while line := await asyncio.to_thread(sys.stdin.readline):
        namespace, event, data = json.loads(line)
        tell({"ack": await client.call(event, data, namespace=namespace, timeout=10)})
    await client.disconnect()


if __name__ == "__main__":
    kind, url, token, transports, *namespaces = sys.argv[1:]
    transports = transports.split(",")
    if kind == "async":
        asyncio.run(run_async(url, token, transports, namespaces))
    else:
        run(url, token, transports, namespaces)
