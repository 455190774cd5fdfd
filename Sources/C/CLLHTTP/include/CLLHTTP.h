#pragma once
// llhttp, compiled in its strict mode: what it lets pass is what our own rules were written for.
#ifndef LLHTTP_STRICT_MODE
#define LLHTTP_STRICT_MODE 1
#endif
// The header of Debian's node-llhttp, unpacked by Deploy/setup.
#if __has_include("../../../../.deps/llhttp/usr/share/include/llhttp/llhttp.h")
#include "../../../../.deps/llhttp/usr/share/include/llhttp/llhttp.h"
#elif __has_include("/usr/share/include/llhttp/llhttp.h")
#include "/usr/share/include/llhttp/llhttp.h"
#else
#error "llhttp's source is missing: run Deploy/setup"
#endif
