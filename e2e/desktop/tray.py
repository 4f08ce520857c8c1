"""Stands in for the part of a desktop that shows tray icons: it owns the name that such
a program owns, and shows nothing. Ends when it is ended."""

import ctypes

bus = ctypes.CDLL("libdbus-1.so.3")
bus.dbus_bus_get.restype = ctypes.c_void_p
bus.dbus_bus_get.argtypes = [ctypes.c_int, ctypes.c_void_p]
bus.dbus_bus_request_name.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint, ctypes.c_void_p]
bus.dbus_connection_read_write.argtypes = [ctypes.c_void_p, ctypes.c_int]

SESSION, FIRST_OWNER = 0, 1
connection = bus.dbus_bus_get(SESSION, None)
if not connection or bus.dbus_bus_request_name(connection, b"org.kde.StatusNotifierWatcher", 4, None) != FIRST_OWNER:
    raise SystemExit("the name is not to be had")
print("shown", flush=True)
while bus.dbus_connection_read_write(connection, 1000):
    pass
