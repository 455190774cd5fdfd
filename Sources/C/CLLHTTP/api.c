// The C source of Debian's node-llhttp, unpacked by Deploy/setup. Strict: its loose mode takes any byte for the LF after a CR.
#define LLHTTP_STRICT_MODE 1
#if __has_include("../../../.deps/llhttp/usr/share/llhttp/api.c")
#include "../../../.deps/llhttp/usr/share/llhttp/api.c"
#elif __has_include("/usr/share/llhttp/api.c")
#include "/usr/share/llhttp/api.c"
#else
#error "llhttp's source is missing: run Deploy/setup"
#endif
