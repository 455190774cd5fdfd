#pragma once
// Network namespaces and TAP devices for tests: variadic calls, macros and structures that Swift cannot import.
#include <stdint.h>

/// Opens a new TAP device of that name in the network namespace at `space` (a path), non-blocking; -1 and errno.
int tap_open(const char *space, const char *name);
/// ioctl(2) TUNSETCARRIER: the cable is in (1) or out (0).
int tap_carrier(int tap, int is_on);
/// socket(2) of type SOCK_DGRAM or SOCK_STREAM for IPv4 in the network namespace at `space`, non-blocking; -1 and errno.
int tap_socket(const char *space, int type);
/// Waits for input on up to four descriptors; at most `nanoseconds`, for ever where that is negative. Bit n of the answer is set where
/// descriptor n is ready; -1 and errno.
int tap_wait(const int *descriptors, int count, int64_t nanoseconds);
/// The calling thread's timers fire when they are due, not up to 50 µs later.
void tap_be_prompt(void);
