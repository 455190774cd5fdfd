#define _GNU_SOURCE
#include "CTap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Does one thing within a namespace and comes back: namespaces are a thread's own.
static int within(const char *space, int (*body)(const void *), const void *context) {
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0) return -1;
    int there = open(space, O_RDONLY | O_CLOEXEC);
    int result = -1;
    int error = errno;
    if (there >= 0 && setns(there, CLONE_NEWNET) == 0) {
        result = body(context);
        error = errno;
        if (setns(home, CLONE_NEWNET) != 0) {
            error = errno;
            if (result >= 0) close(result);
            result = -1;
        }
    } else {
        error = errno;
    }
    if (there >= 0) close(there);
    close(home);
    errno = error;
    return result;
}

static int open_tap(const void *context) {
    const char *name = context;
    if (strlen(name) >= IFNAMSIZ) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap < 0) return -1;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (ioctl(tap, TUNSETIFF, &request) != 0) {
        int error = errno;
        close(tap);
        errno = error;
        return -1;
    }
    return tap;
}

static int open_socket(const void *context) {
    return socket(AF_INET, *(const int *)context | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int tap_open(const char *space, const char *name) { return within(space, open_tap, name); }

int tap_socket(const char *space, int type) { return within(space, open_socket, &type); }

int tap_carrier(int tap, int is_on) { return ioctl(tap, TUNSETCARRIER, &is_on); }

int tap_wait(const int *descriptors, int count, int64_t nanoseconds) {
    struct pollfd polls[4];
    if (count > 4) {
        errno = EINVAL;
        return -1;
    }
    for (int i = 0; i < count; i++) polls[i] = (struct pollfd){.fd = descriptors[i], .events = POLLIN};
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int found = ppoll(polls, count, nanoseconds < 0 ? NULL : &time, NULL);
    if (found < 0) return errno == EINTR ? 0 : -1;
    int ready = 0;
    for (int i = 0; i < count; i++)
        if (polls[i].revents != 0) ready |= 1 << i;
    return ready;
}

void tap_be_prompt(void) { prctl(PR_SET_TIMERSLACK, 1UL); }
