/* What a file in this folder tells of its CPU. */
#ifndef WHORL_TEST_REGISTERS_H
#define WHORL_TEST_REGISTERS_H

#include <stdint.h>

/* Loads all registers that a function preserves from `in`, calls fn, and stores them to `out`. */
void call_with_registers(const void *in, void *out, void (*fn)(void));
extern const uint32_t registers_size; /* bytes: all of them */
#define REGISTERS_MAX 512

/* What an indirect call has to meet. */
extern const unsigned char landing_pad[];
extern const uint32_t landing_pad_size; /* bytes; 0: there is no such thing */

#endif
