#include "CLinux.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int qn_tcp_figures(int descriptor, struct qn_tcp_figures *figures) {
    struct tcp_info info;
    memset(&info, 0, sizeof info);
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return errno;
    figures->bytes_received = (int64_t)info.tcpi_bytes_received;
    figures->bytes_acknowledged = (int64_t)info.tcpi_bytes_acked;
    figures->segments_received = info.tcpi_segs_in;
    figures->segment_bytes = info.tcpi_rcv_mss;
    figures->has_timestamps = (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0;
    return 0;
}

int qn_tcp_set_window_limit(int descriptor, int bytes) {
    return setsockopt(descriptor, IPPROTO_TCP, TCP_WINDOW_CLAMP, &bytes, sizeof bytes) == 0 ? 0 : errno;
}

int qn_tcp_set_segment_limit(int descriptor, int bytes) {
    return setsockopt(descriptor, IPPROTO_TCP, TCP_MAXSEG, &bytes, sizeof bytes) == 0 ? 0 : errno;
}
