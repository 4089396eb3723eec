# SPDX-FileCopyrightText: 2026 Kapsule contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shares the screen as programs for video calls do: asks the desktop portal for it, and gives the
connection to PipeWire that it gets, and the number of the stream, to the command in the arguments
(FD and NODE in it). The portal asks nobody here; its configuration says which screen."""

import subprocess
import sys

from gi.repository import Gio, GLib

NAME = "org.freedesktop.portal.Desktop"
PATH = "/org/freedesktop/portal/desktop"
CAST = "org.freedesktop.portal.ScreenCast"

bus = Gio.bus_get_sync(Gio.BusType.SESSION)
sender = bus.get_unique_name()[1:].replace(".", "_")


def call(method, arguments):
    return bus.call_sync(NAME, PATH, CAST, method, arguments, None, Gio.DBusCallFlags.NONE, 60_000, None)


def ask(method, signature, *arguments, **options):
    """Calls what is answered by a signal later, and waits for that."""
    token = f"t{method}"
    answers = []
    loop = GLib.MainLoop()

    def on_answer(_bus, _sender, _path, _interface, _signal, answer):
        answers.append(answer.unpack())
        loop.quit()

    path = f"{PATH}/request/{sender}/{token}"
    bus.signal_subscribe(
        NAME, "org.freedesktop.portal.Request", "Response", path, None, Gio.DBusSignalFlags.NONE, on_answer
    )
    options["handle_token"] = GLib.Variant("s", token)
    call(method, GLib.Variant(f"({signature}a{{sv}})", (*arguments, options)))
    GLib.timeout_add_seconds(60, loop.quit)
    loop.run()
    if not answers or answers[0][0] != 0:
        sys.exit(f"{method}: {answers or 'no answer'}")
    return answers[0][1]


session = ask("CreateSession", "", session_handle_token=GLib.Variant("s", "tSession"))["session_handle"]
ask("SelectSources", "o", session, types=GLib.Variant("u", 1))
node, _ = ask("Start", "os", session, "")["streams"][0]
# One descriptor, in a list beside the message.
answer, descriptors = bus.call_with_unix_fd_list_sync(
    NAME,
    PATH,
    CAST,
    "OpenPipeWireRemote",
    GLib.Variant("(oa{sv})", (session, {})),
    GLib.VariantType("(h)"),
    Gio.DBusCallFlags.NONE,
    60_000,
    None,
    None,
)
remote = descriptors.get(answer.unpack()[0])
print(f"stream {node}", flush=True)
values = {"FD": str(remote), "NODE": str(node)}
command = [part.replace("FD", values["FD"]).replace("NODE", values["NODE"]) for part in sys.argv[1:]]
sys.exit(subprocess.call(command, pass_fds=[remote]))
