"""Messages that flow while a test breaks something, and the history of it.

traffic = Traffic(server.address)
traffic.read(), traffic.follow(client), traffic.send(), traffic.send_by(client)
traffic.run(500); <break something>; traffic.until_normal(); traffic.run(500)
assert_clean(traffic.finish())
"""

from support.traffic.traffic import Traffic

__all__ = ["Traffic"]
