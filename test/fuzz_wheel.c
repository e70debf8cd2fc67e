/* Bytes as operations on the wheel and its oracle: aborts where they differ. For libFuzzer; with
 * -DFUZZ_MAIN a program that replays the files named on its command line.
 *
 * The first byte is the clock's start, the second the number of timers; each operation is a byte,
 * and bytes for its timer and tick.
 */
#include <stdlib.h>

#include "wheel_oracle.h"

#define TOP UINT64_MAX
#define TIMERS 300     /* beyond the batch that wheel.c sorts at once */
#define LONGEST 4096   /* bytes of input; more says nothing new, and takes long */
#define CHECK_EVERY 16 /* operations: wheel_check looks at each slot */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct twin_timer timers[TIMERS];
static struct oracle_timer truths[TIMERS];
static struct twin_trace trace;
static struct twin tw;

struct input {
	const uint8_t *at, *end;
};

static uint8_t take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static uint64_t sat_add(uint64_t a, uint64_t b)
{
	return a > TOP - b ? TOP : a + b;
}

/* Two bits say what the other six stand for: a small delta, a power of two, one less than that, or
 * another timer's tick, a past one, one near the end of time, any. */
static uint64_t take_tick(struct input *in)
{
	uint8_t byte = take(in);
	uint64_t now = tw.oracle.now, any = 0;
	unsigned n = byte >> 2;

	switch (byte & 3) {
	case 0:
		return sat_add(now, n);
	case 1:
		return sat_add(now, UINT64_C(1) << n);
	case 2:
		return sat_add(now, (UINT64_C(1) << n) - 1);
	}
	if (n < 32)
		return truths[take(in) % tw.oracle.timers].expires;
	if (n < 56)
		return now - (now < (UINT64_C(1) << (n - 32)) ? now : UINT64_C(1) << (n - 32));
	if (n < 60)
		return TOP - (n - 56);
	for (int i = 0; i < 8; i++)
		any = any << 8 | take(in);
	return any;
}

static size_t take_timer(struct input *in)
{
	return take(in) % tw.oracle.timers;
}

/* Some timers after each other, on one tick or on neighbouring ones. */
static void arm_many(struct input *in)
{
	size_t first = take_timer(in), n = 1 + take(in);
	uint64_t tick = take_tick(in);
	bool same = take(in) & 1;

	for (size_t i = 0; i < n && i < tw.oracle.timers; i++)
		twin_arm(&tw, (first + i) % tw.oracle.timers, same ? tick : sat_add(tick, i));
}

static void operate(struct input *in)
{
	uint8_t op = take(in);
	size_t i;

	switch (op & 7) {
	case 0:
		i = take_timer(in);
		twin_arm(&tw, i, take_tick(in));
		break;
	case 1:
		i = take_timer(in);
		twin_arm_slack(&tw, i, take_tick(in), (UINT64_C(1) << take(in) % 64) - 1);
		break;
	case 2:
		twin_disarm(&tw, take_timer(in));
		break;
	case 3:
		twin_advance(&tw, take_tick(in));
		break;
	case 4:
		for (unsigned n = op >> 3; n > 0 && twin_pop(&tw) != ORACLE_NONE;)
			n--;
		break;
	case 5:
		i = twin_pop(&tw);
		if (i != ORACLE_NONE)
			twin_arm(&tw, i,
				 op & 8 ? take_tick(in) : sat_add(truths[i].expires, op >> 4));
		break;
	case 6:
		twin_next(&tw);
		break;
	case 7:
		arm_many(in);
		break;
	}
}

static void follow_to_the_end(void)
{
	uint64_t wakes = 0;

	while (tw.count > 0 && tw.wrong == NULL) {
		uint64_t next = twin_next(&tw);

		twin_advance(&tw, next > tw.oracle.now ? next : tw.oracle.now);
		while (twin_pop(&tw) != ORACLE_NONE)
			;
		twin_must(&tw, ++wakes <= 16 * tw.oracle.order, "more than 16 wakes for each arm");
	}
	twin_next(&tw);
	twin_check(&tw);
}

static void must_agree(void)
{
	if (tw.wrong == NULL)
		return;
	twin_report(&tw, stderr);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + (size < LONGEST ? size : LONGEST) };
	uint8_t start = take(&in), n = take(&in);

	trace.steps = 0;
	trace.start = TOP - start;
	if (start < 192)
		trace.start = (UINT64_C(1) << start / 3) + start % 3 - 1;
	twin_init(&tw, trace.start, n < 255 ? 1 + n / 4 : TIMERS, timers, truths);
	tw.trace = &trace;
	tw.scribbles = n & 1;
	for (unsigned k = 0; in.at < in.end; k++) {
		operate(&in);
		if (k % CHECK_EVERY == 0)
			twin_check(&tw);
		must_agree();
	}
	twin_check(&tw);
	follow_to_the_end();
	must_agree();
	return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv)
{
	static uint8_t data[LONGEST];

	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		size_t size;

		if (file == NULL) {
			perror(argv[i]);
			return 1;
		}
		size = fread(data, 1, sizeof(data), file);
		fclose(file);
		printf("%s: %zu bytes\n", argv[i], size);
		fflush(stdout);
		LLVMFuzzerTestOneInput(data, size);
	}
	return 0;
}
#endif
