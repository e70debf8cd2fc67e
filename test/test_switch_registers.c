/* Every register that the ABI preserves survives the switch, whoever switches to whom.
 *
 * Coroutines and main fill all preserved registers with random numbers around each switch, and
 * compare. The filling has to be assembly: call_with_registers(in, out, fn) loads them from `in`,
 * calls fn, and stores them to `out`. */
#define _GNU_SOURCE 1
#include <string.h>
#include <whorl/coro.h>

#include "suite.h"

void call_with_registers(const uint64_t *in, uint64_t *out, void (*fn)(void));

#if defined(__x86_64__)
/* rbx, rbp, r12-r15; control bits of MXCSR and the x87 control word: System V AMD64 psABI 3.2.1. */
#define INTEGERS 6
#define REGISTERS INTEGERS
__asm__(".text\n"
	".type call_with_registers, @function\n"
	"call_with_registers:\n"
	"	endbr64\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	"
	"push %r15\n"
	"	push %rsi\n" /* rsp is now a multiple of 16 */
	"	mov (%rdi), %rbx\n	mov 8(%rdi), %rbp\n	mov 16(%rdi), %r12\n"
	"	mov 24(%rdi), %r13\n	mov 32(%rdi), %r14\n	mov 40(%rdi), %r15\n"
	"	call *%rdx\n"
	"	pop %rsi\n"
	"	mov %rbx, (%rsi)\n	mov %rbp, 8(%rsi)\n	mov %r12, 16(%rsi)\n"
	"	mov %r13, 24(%rsi)\n	mov %r14, 32(%rsi)\n	mov %r15, 40(%rsi)\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	"
	"pop %rbx\n"
	"	ret\n"
	".size call_with_registers, . - call_with_registers\n");
#elif defined(__aarch64__)
/* x19-x29, d8-d15: AAPCS64 6.1.1, 6.1.2. */
#define INTEGERS 11
#define REGISTERS (INTEGERS + 8)
__asm__(".text\n"
	".type call_with_registers, %function\n"
	"call_with_registers:\n"
	"	hint #34\n"
	"	stp x29, x30, [sp, #-176]!\n"
	"	stp x19, x20, [sp, #16]\n	stp x21, x22, [sp, #32]\n	stp x23, x24, [sp, "
	"#48]\n"
	"	stp x25, x26, [sp, #64]\n	stp x27, x28, [sp, #80]\n	stp d8, d9, [sp, "
	"#96]\n"
	"	stp d10, d11, [sp, #112]\n	stp d12, d13, [sp, #128]\n	stp d14, d15, [sp, "
	"#144]\n"
	"	str x1, [sp, #160]\n"
	"	ldp x19, x20, [x0]\n	ldp x21, x22, [x0, #16]\n	ldp x23, x24, [x0, #32]\n"
	"	ldp x25, x26, [x0, #48]\n	ldp x27, x28, [x0, #64]\n	ldr x29, [x0, "
	"#80]\n"
	"	ldp d8, d9, [x0, #88]\n	ldp d10, d11, [x0, #104]\n	ldp d12, d13, [x0, #120]\n"
	"	ldp d14, d15, [x0, #136]\n"
	"	blr x2\n"
	"	ldr x1, [sp, #160]\n"
	"	stp x19, x20, [x1]\n	stp x21, x22, [x1, #16]\n	stp x23, x24, [x1, #32]\n"
	"	stp x25, x26, [x1, #48]\n	stp x27, x28, [x1, #64]\n	str x29, [x1, "
	"#80]\n"
	"	stp d8, d9, [x1, #88]\n	stp d10, d11, [x1, #104]\n	stp d12, d13, [x1, #120]\n"
	"	stp d14, d15, [x1, #136]\n"
	"	ldp x19, x20, [sp, #16]\n	ldp x21, x22, [sp, #32]\n	ldp x23, x24, [sp, "
	"#48]\n"
	"	ldp x25, x26, [sp, #64]\n	ldp x27, x28, [sp, #80]\n	ldp d8, d9, [sp, "
	"#96]\n"
	"	ldp d10, d11, [sp, #112]\n	ldp d12, d13, [sp, #128]\n	ldp d14, d15, [sp, "
	"#144]\n"
	"	ldp x29, x30, [sp], #176\n"
	"	ret\n"
	".size call_with_registers, . - call_with_registers\n");
#else
/* No assembly for this CPU, nor a stub of ours: only that the switches come back is tested. */
#define REGISTERS 1
void call_with_registers(const uint64_t *in, uint64_t *out, void (*fn)(void))
{
	fn();
	out[0] = in[0];
}
#endif

/* --------------------------------------------------------------------------------- who switches */

#define MANY 40

static struct co_raw *all[MANY];
static uint64_t seed;
static unsigned long switches;
static int depth; /* resumes under way */

static void suspend(void)
{
	co_raw_suspend(NULL);
}

/* Resumes one of those that can be. */
static void resume(void)
{
	struct co_raw *co = all[suite_random(&seed) % MANY];

	if (co_raw_state(co) == CO_RAW_RUNNING)
		return;
	depth++;
	switches += 2;
	ck_assert_int_eq(co_raw_resume(co, NULL, NULL), 1);
	depth--;
}

static void switch_and_compare(void (*how)(void))
{
	uint64_t in[REGISTERS], out[REGISTERS];

	for (int i = 0; i < REGISTERS; i++)
		in[i] = suite_random(&seed);
	memset(out, 0, sizeof(out));
	call_with_registers(in, out, how);
	for (int i = 0; i < REGISTERS; i++)
		ck_assert_msg(in[i] == out[i], "register %d of %d: %" PRIx64 ", was %" PRIx64, i,
			      REGISTERS, out[i], in[i]);
}

static void *body(void *value)
{
	while (value == NULL)
		switch_and_compare(depth < MANY / 2 && suite_random(&seed) % 2 == 0 ? resume
										    : suspend);
	return NULL;
}

static void churn(unsigned long n)
{
	seed = suite_seed();
	for (int i = 0; i < MANY; i++) {
		struct co_attr attr = { .flags = i % 4 == 0 ? CO_KEEP_FPENV | CO_KEEP_CXX_EH : 0 };

		ck_assert_int_eq(co_raw_create(&all[i], body, &attr), 0);
	}
	while (switches < n)
		switch_and_compare(resume);
	for (int i = 0; i < MANY; i++)
		co_raw_destroy(all[i]);
}

START_TEST(preserved_registers_survive)
{
	churn(suite_long() ? 5000000 : 500000);
}
END_TEST

/* Nothing where the switch is no stub of ours. */
void whorl__fiber_start(void) __attribute__((weak, visibility("hidden")));
void whorl__switch(void) __attribute__((visibility("hidden")));

/* K4, K5: `endbr64`, or `bti c`, without which an indirect call of the switch is a SIGILL or worse
 * where the CPU looks for landing pads. */
START_TEST(K4_K5_the_switch_begins_with_a_landing_pad)
{
#if defined(__x86_64__)
	static const unsigned char pad[] = { 0xf3, 0x0f, 0x1e, 0xfa };
#else
	static const unsigned char pad[] = { 0x5f, 0x24, 0x03, 0xd5 };
#endif

	if (whorl__fiber_start)
		ck_assert_mem_eq((const void *)(uintptr_t)whorl__switch, pad, sizeof(pad));
}
END_TEST

#if defined(__x86_64__)
static void fp_control(uint32_t *mxcsr, uint16_t *x87)
{
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(*mxcsr), "=m"(*x87));
}

/* K8 */
START_TEST(fp_control_words_survive)
{
	uint32_t mxcsr[2], changed = 0x1f80 | 0x6000; /* toward zero */
	uint16_t x87[2], single = 0x007f;

	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(changed), "m"(single));
	fp_control(&mxcsr[0], &x87[0]);
	churn(10000);
	fp_control(&mxcsr[1], &x87[1]);
	ck_assert_uint_eq(mxcsr[1] & 0xffc0, changed);
	ck_assert_uint_eq(x87[1], x87[0]);
}
END_TEST

SUITE("switch_registers", preserved_registers_survive, K4_K5_the_switch_begins_with_a_landing_pad,
      fp_control_words_survive)
#else
SUITE("switch_registers", preserved_registers_survive, K4_K5_the_switch_begins_with_a_landing_pad)
#endif
