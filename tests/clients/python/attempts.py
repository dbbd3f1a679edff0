"""python-socketio at the door: connects once for each of a list, tells what it was told there, and leaves.

usage: attempts.py OPTIONS, a JSON object: {"kind": "async" or "sync", "transports", "attempts": [{"url", "auth"?, "headers"?, "namespace"?}]}

A line of stdout for each: {"session": ..., "transport": ...} or {"refused": ...}, what its connect_error handler was given.
"""

import asyncio
import json
import queue
import sys

import aiohttp
import socketio

PATIENCE = 10


def attempt(transports, url, auth=None, headers=None, namespace="/"):
    told = queue.Queue()
    client = socketio.Client(reconnection=False)
    client.on("session", lambda data: told.put({"session": data, "transport": client.transport()}), namespace=namespace)
    client.on("connect_error", lambda data: told.put({"refused": data}), namespace=namespace)
    try:
        client.connect(url, headers or {}, auth, transports, [namespace], wait_timeout=PATIENCE)
    except socketio.exceptions.ConnectionError:
        pass  # Its handler has received the reason.
    answer = told.get(timeout=PATIENCE)
    client.disconnect()
    return answer


async def attempt_async(transports, url, auth=None, headers=None, namespace="/"):
    told = asyncio.Queue()
    # aiohttp by default sends cookies only to host names, and our address is a number.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        client = socketio.AsyncClient(reconnection=False, http_session=session)
        client.on("session", lambda data: told.put_nowait({"session": data, "transport": client.transport()}), namespace=namespace)
        client.on("connect_error", lambda data: told.put_nowait({"refused": data}), namespace=namespace)
        try:
            await client.connect(url, headers or {}, auth, transports, [namespace], wait_timeout=PATIENCE)
        except socketio.exceptions.ConnectionError:
            pass
        answer = await asyncio.wait_for(told.get(), PATIENCE)
        await client.disconnect()
        return answer


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    for wanted in options["attempts"]:
        if options["kind"] == "async":
            print(json.dumps(asyncio.run(attempt_async(options["transports"], **wanted))), flush=True)
        else:
            print(json.dumps(attempt(options["transports"], **wanted)), flush=True)
