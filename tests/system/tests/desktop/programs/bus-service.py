# SPDX-FileCopyrightText: 2026 Kapsule contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service on the session bus, under the name in the arguments, made with GLib as many are."""

import sys

from gi.repository import Gio, GLib

DESCRIPTION = """<node><interface name="org.example.T">
  <method name="Twice"><arg type="s" direction="in"/><arg type="s" direction="out"/></method>
  <property name="Word" type="s" access="read"/>
  <signal name="Said"><arg type="s"/></signal>
</interface></node>"""


def on_call(bus, _sender, path, interface, _method, arguments, invocation):
    (word,) = arguments.unpack()
    bus.emit_signal(None, path, interface, "Said", GLib.Variant("(s)", (word,)))
    invocation.return_value(GLib.Variant("(s)", (word * 2,)))


def on_get(_bus, _sender, _path, _interface, _property):
    return GLib.Variant("s", "a word")


bus = Gio.bus_get_sync(Gio.BusType.SESSION)
interface = Gio.DBusNodeInfo.new_for_xml(DESCRIPTION).interfaces[0]
bus.register_object_with_closures2("/org/example/T", interface, on_call, on_get, None)
Gio.bus_own_name_on_connection(bus, sys.argv[1], Gio.BusNameOwnerFlags.DO_NOT_QUEUE, None, None)
GLib.MainLoop().run()
