/** The process that carries on what comes to published ports, by itself. */
import { expect, test } from "bun:test"

const PYTHON = "import select, socket, struct, sys, threading, time\nserver, port = None, int(sys.argv[1])\n"

/** Runs a script that serves on a port, behind a forwarder for so many; what it prints. Its `port` is the forwarder's. */
async function behind(most: number, serve: string, script: string): Promise<string> {
  const reserved = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  const own = reserved.port
  reserved.stop(true)
  const forwarder = Bun.spawn([process.execPath, `${import.meta.dir}/forward-child.ts`, String(own), String(most)], {
    stdin: "ignore",
    stderr: "inherit",
  })
  try {
    const { value } = await forwarder.stdout.getReader().read()
    const port = new TextDecoder().decode(value).trim()
    const text = `${PYTHON}own, forwarder = int(sys.argv[2]), int(sys.argv[3])\n${serve}\n${script}`
    const child = Bun.spawn(
      ["timeout", "-k", "1", "30", "python3", "-c", text, port, String(own), String(forwarder.pid)],
      {
        stdin: "ignore",
        stderr: "inherit",
      },
    )
    const said = await child.stdout.text()
    expect(await child.exited).toBe(0)
    return said
  } finally {
    forwarder.kill("SIGKILL")
    await forwarder.exited
  }
}

const STREAM = `
server = socket.create_server(("127.0.0.1", own), backlog=100)
def echo(connection):
  while data := connection.recv(100): connection.sendall(data)
def serve():
  while True: threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
def connect():
  client = socket.create_connection(("127.0.0.1", port)); client.settimeout(10)
  return client
def said(client, wait=10):
  client.settimeout(wait)
  try: return client.recv(100).decode()
  except TimeoutError: return "nothing"
`

test("who has said all, and is gone, is told as gone to who does not write either", async () => {
  const script = `
client = connect(); client.sendall(b"x" * 1000); client.shutdown(socket.SHUT_WR)
connection = server.accept()[0]
while connection.recv(100): pass
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); client.close()
poll = select.poll(); poll.register(connection, 0)
print([bool(events & select.POLLERR) for _, events in poll.poll(10000)])`
  expect(await behind(10, STREAM, script)).toBe("[True]\n")
}, 60_000)

test("what he has said comes nevertheless, however slowly it is taken", async () => {
  const script = `
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
client = connect()
client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
connection = server.accept()[0]
size = 0
client.setblocking(False)
while True:
  try: size += client.send(b"x" * 65536)
  except BlockingIOError:
    time.sleep(0.3)
    try: size += client.send(b"x" * 65536)
    except BlockingIOError: break
client.shutdown(socket.SHUT_WR)
got = 0
# The rest has left the forwarder's hands when he goes, and waits in its socket.
while got < size - 200000: got += len(connection.recv(4096))
time.sleep(0.5)
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); client.close()
time.sleep(0.5)
try:
  while data := connection.recv(65536): got += len(data)
except ConnectionResetError: pass
print(got == size)`
  expect(await behind(10, STREAM, script)).toBe("True\n")
}, 60_000)

test("those beyond what there is room for wait, and keep nobody from going on, nor a processor busy", async () => {
  const script = `
threading.Thread(target=serve, daemon=True).start()
clients = [connect() for _ in range(6)]
for client in clients: client.sendall(b"hello")
print([said(client, 10 if i < 3 else 0.3) for i, client in enumerate(clients)])
ticks = lambda: sum(map(int, open(f"/proc/{forwarder}/stat").read().rsplit(")", 1)[1].split()[11:13]))
before = ticks(); time.sleep(1); print(ticks() - before < 50)
clients[0].close()
print(said(clients[3]))
for client in clients[1:3]: client.close()
print([said(client) for client in clients[4:]])`
  expect(await behind(3, STREAM, script)).toBe(
    "['hello', 'hello', 'hello', 'nothing', 'nothing', 'nothing']\nTrue\nhello\n['hello', 'hello']\n",
  )
}, 60_000)

const DATAGRAMS = `
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(("127.0.0.1", own)); server.settimeout(10)
clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
def seen(client):
  client.sendto(b"x", ("127.0.0.1", port))
  return server.recvfrom(100)[1]
`

test("of more clients of datagrams than there is room for who was heard of last stays", async () => {
  const script = `
one, two = seen(clients[0]), seen(clients[1])
print(seen(clients[0]) == one, seen(clients[2]) in (one, two))
print(seen(clients[0]) == one, seen(clients[1]) == two)`
  expect(await behind(2, DATAGRAMS, script)).toBe("True False\nTrue False\n")
}, 60_000)
