/* Every register that the ABI preserves survives the switch, whoever switches to whom.
 *
 * Coroutines and main fill all preserved registers with random numbers around each switch, and
 * compare. The filling is assembly, test/registers/<cpu>.S. */
#define _GNU_SOURCE 1
#include <fenv.h>
#include <string.h>
#include <whorl/coro.h>

#include "frame.h"
#include "registers/registers.h"
#include "suite.h"

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
	_Alignas(16) unsigned char in[REGISTERS_MAX] = { 0 }, out[REGISTERS_MAX] = { 0 };

	for (uint32_t i = 0; i < registers_size; i += 8)
		memcpy(&in[i], &(uint64_t){ suite_random(&seed) }, 8);
	call_with_registers(in, out, how);
	for (uint32_t i = 0; i < registers_size; i++)
		if (in[i] != out[i])
			ck_abort_msg("byte %u of %u: %02x, was %02x", i, registers_size, out[i],
				     in[i]);
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
	churn(suite_long() ? 5000000 : 1000000);
}
END_TEST

/* Nothing where the switch is no stub of ours. */
void whorl__fiber_start(void) __attribute__((weak, visibility("hidden")));
void whorl__switch(void) __attribute__((visibility("hidden")));

/* K4, K5: `endbr64`, or `bti c`, without which an indirect call of the switch is a SIGILL or worse
 * where the CPU looks for landing pads. */
START_TEST(K4_K5_the_switch_begins_with_a_landing_pad)
{
	if (whorl__fiber_start)
		ck_assert_mem_eq((const void *)(uintptr_t)whorl__switch, landing_pad,
				 landing_pad_size);
}
END_TEST

/* K8 */
START_TEST(fp_control_words_survive)
{
	struct whorl__fpenv before, after;

	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	ck_assert_int_eq(fesetround(FE_TOWARDZERO), 0);
	whorl__fpenv_read(&before);
	churn(10000);
	whorl__fpenv_read(&after);
	ck_assert_mem_eq(&before, &after, sizeof(before));
}
END_TEST

SUITE("switch_registers", preserved_registers_survive, K4_K5_the_switch_begins_with_a_landing_pad,
      fp_control_words_survive)
