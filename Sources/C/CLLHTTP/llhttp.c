// The C source of Debian's node-llhttp, unpacked by Deploy/setup.
#if __has_include("../../../.deps/llhttp/usr/share/llhttp/llhttp.c")
#include "../../../.deps/llhttp/usr/share/llhttp/llhttp.c"
#elif __has_include("/usr/share/llhttp/llhttp.c")
#include "/usr/share/llhttp/llhttp.c"
#else
#error "llhttp's source is missing: run Deploy/setup"
#endif
