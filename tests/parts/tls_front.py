"""What speaks TLS in front of plain servers, as an ingress does: hosts' names go to ports of this machine."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Mapping
from typing import Self


class TlsFront:
    """Listens on `port` from its entry to its exit, and passes bytes on, by the name that is asked for."""

    def __init__(self, context: ssl.SSLContext, ports: Mapping[str, int]) -> None:
        self.port = 0
        self._context = context
        self._ports = ports
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        context.sni_callback = self._look

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stop.wait()
        server.close()

    def _look(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        """During the handshake; who asks for another name is refused."""
        if name not in self._ports:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.port = self._ports[name]
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("ssl_object").port
        with contextlib.suppress(OSError, asyncio.CancelledError):
            answers, requests = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pass_on(reader, requests), _pass_on(answers, writer))
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """To the end of what is said; then the other side hears that it is."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
