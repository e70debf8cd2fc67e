/* wheel_check finds what a stray pointer breaks: each test writes into the private fields of a
 * sound wheel or of its timers, and sees that a reason is given.
 */
#include <errno.h>

#include "wheel_tests.h"

/* A wheel at 1000 with timers in the past, due ones in order, and pending ones on many levels, the
 * soonest at 1003, some of them in one slot. */
struct sample {
	struct wheel w;
	struct wheel_timer popped, past[2], due[4], soonest, together[12], spread[50];
};

static struct sample sample;

static struct wheel_timer *sample_timer(unsigned i)
{
	struct {
		struct wheel_timer *t;
		unsigned n;
	} part[] = {
		{ sample.past, LENGTH(sample.past) },
		{ sample.due, LENGTH(sample.due) },
		{ &sample.soonest, 1 },
		{ sample.together, LENGTH(sample.together) },
		{ sample.spread, LENGTH(sample.spread) },
	};

	for (unsigned p = 0; p < LENGTH(part); i -= part[p++].n)
		if (i < part[p].n)
			return &part[p].t[i];
	return NULL;
}

static void make_sample(void)
{
	memset(&sample, 0, sizeof(sample));
	wheel_init(&sample.w, 0);
	wheel_arm(&sample.w, &sample.popped, 899);
	for (unsigned i = 0; i < LENGTH(sample.due); i++)
		wheel_arm(&sample.w, &sample.due[i], 900 + i / 2);
	wheel_arm(&sample.w, &sample.soonest, 1003);
	for (unsigned i = 0; i < LENGTH(sample.together); i++)
		wheel_arm(&sample.w, &sample.together[i], 7000);
	for (unsigned i = 0; i < LENGTH(sample.spread); i++)
		wheel_arm(&sample.w, &sample.spread[i], 8001 + (UINT64_C(1) << i));
	wheel_advance(&sample.w, 1000);
	MUST(wheel_pop(&sample.w) == &sample.popped);
	for (unsigned i = 0; i < LENGTH(sample.past); i++)
		wheel_arm(&sample.w, &sample.past[i], 950);
	must_be_sound(&sample.w);
}

static void must_be_found(const char *what, unsigned i)
{
	const char *why = NULL;
	int r = wheel_check(&sample.w, &why);

	if (r != -EINVAL || why == NULL || why[0] == '\0')
		ck_abort_msg("%s, timer or bit %u: %d, %s", what, i, r,
			     why == NULL ? "no reason" : why);
	MUST(wheel_check(&sample.w, NULL) == -EINVAL);
}

START_TEST(check_takes_no_place_for_the_reason)
{
	make_sample();
	ck_assert_int_eq(wheel_check(&sample.w, NULL), 0);
	sample.w.count_++;
	ck_assert_int_eq(wheel_check(&sample.w, NULL), -EINVAL);
}
END_TEST

START_TEST(check_finds_an_armed_timer_that_was_overwritten)
{
	static const int bytes[] = { 0x00, 0xa5, 0xdf, 0xff };
	struct wheel_timer *t;

	for (unsigned b = 0; b < LENGTH(bytes); b++)
		for (unsigned i = 0; (t = sample_timer(i)) != NULL; i++) {
			make_sample();
			memset(t, bytes[b], sizeof(*t));
			must_be_found("overwritten", i);
		}
}
END_TEST

START_TEST(check_finds_a_flipped_bit_in_the_link_back)
{
	struct wheel_timer *t;
	uintptr_t back;

	for (unsigned i = 0; (t = sample_timer(i)) != NULL; i++)
		for (unsigned bit = 0; bit < 64; bit++) {
			make_sample();
			memcpy(&back, &t->back_, sizeof(back));
			back ^= UINT64_C(1) << bit;
			memcpy(&t->back_, &back, sizeof(back));
			must_be_found("back_", i);
		}
}
END_TEST

START_TEST(check_finds_a_list_that_was_cut_or_made_a_ring)
{
	struct wheel_timer *t, unarmed = { 0 };
	bool cut = false;

	for (unsigned i = 0; (t = sample_timer(i)) != NULL; i++) {
		make_sample();
		cut = cut || t->next_ != NULL;
		t->next_ = t->next_ != NULL ? NULL : &unarmed;
		must_be_found("cut", i);
		make_sample();
		t->next_ = t;
		must_be_found("ring", i);
		for (unsigned u = 0; sample_timer(u) != NULL; u++) {
			make_sample();
			if (t->next_ == sample_timer(u))
				continue;
			t->next_ = sample_timer(u);
			must_be_found("crossed", i);
		}
	}
	ck_assert(cut);
}
END_TEST

/* The owner wrote `expires` instead of arming again. A later tick in a slot is sound: a move may
 * leave a timer where it is. */
START_TEST(check_finds_a_deadline_brought_forward_in_place)
{
	struct wheel_timer *t;

	for (unsigned i = LENGTH(sample.past) + LENGTH(sample.due); (t = sample_timer(i)) != NULL;
	     i++) {
		make_sample();
		t->expires_ = 1;
		must_be_found("to long ago", i);
		if (t == &sample.soonest)
			continue;
		make_sample();
		t->expires_ = 1004;
		must_be_found("to an earlier slot", i);
	}
}
END_TEST

START_TEST(check_finds_a_mark_that_is_wrong)
{
	struct wheel_timer *t;

	for (unsigned i = 0; (t = sample_timer(i)) != NULL; i++) {
		make_sample();
		t->seq_ ^= 1;
		must_be_found("mark", i);
	}
}
END_TEST

START_TEST(check_finds_a_past_timer_that_is_not_past)
{
	for (unsigned i = 0; i < LENGTH(sample.past); i++) {
		make_sample();
		sample_timer(i)->expires_ = 1001;
		must_be_found("put off", i);
	}
}
END_TEST

START_TEST(check_finds_a_run_out_of_order)
{
	make_sample();
	sample.due[0].expires_ = 902;
	must_be_found("expires", 0);
	make_sample();
	sample.due[3].expires_ = 1;
	must_be_found("expires", 3);
	make_sample();
	sample.due[0].seq_ = sample.due[1].seq_;
	sample.due[1].seq_ -= 2;
	must_be_found("seq", 0);
}
END_TEST

START_TEST(check_finds_an_arming_number_from_the_future)
{
	struct wheel_timer *t;

	for (unsigned i = 0; (t = sample_timer(i)) != NULL; i++) {
		make_sample();
		t->seq_ += sample.w.seq_ + 2;
		must_be_found("seq", i);
	}
}
END_TEST

START_TEST(check_finds_a_wrong_count)
{
	make_sample();
	sample.w.count_++;
	must_be_found("more", 0);
	make_sample();
	sample.w.count_--;
	must_be_found("fewer", 0);
	make_sample();
	sample.w.count_ = 0;
	must_be_found("none", 0);
}
END_TEST

START_TEST(check_finds_a_wrong_bit_of_the_occupied_slots)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++)
		for (unsigned bit = 0; bit < 64; bit++) {
			make_sample();
			sample.w.occupied_[level] ^= UINT64_C(1) << bit;
			must_be_found("occupied", 64 * level + bit);
		}
	for (unsigned bit = 0; bit < 64; bit++) {
		make_sample();
		sample.w.occupied_levels_ ^= UINT64_C(1) << bit;
		must_be_found("levels", bit);
	}
}
END_TEST

START_TEST(check_finds_a_slot_that_cannot_be_divided_ahead)
{
	for (size_t index = 0; index <= LENGTH(sample.w.slot_); index++) {
		const struct wheel_slot_ *s = &sample.w.slot_[index];

		make_sample();
		if (index / WHEEL_SLOTS > 1 && index < LENGTH(sample.w.slot_) - WHEEL_SLOTS &&
		    s->chain[0])
			continue;
		sample.w.ahead_ = index;
		must_be_found("ahead", (unsigned)index);
	}
	make_sample();
	sample.w.occupied_ahead_ = 1;
	must_be_found("row ahead", 0);
}
END_TEST

START_TEST(check_finds_clocks_that_contradict_each_other)
{
	make_sample();
	sample.w.cursor_ = sample.w.now_ + 1;
	must_be_found("cursor", 0);
	make_sample();
	sample.w.now_ = 899;
	must_be_found("now", 0);
	make_sample();
	sample.w.soonest_ = 2000;
	must_be_found("soonest", 0);
}
END_TEST

START_TEST(check_finds_a_slot_that_lost_its_timers)
{
	for (unsigned slot = 0; slot < LENGTH(sample.w.slot_); slot++) {
		bool held = false;

		make_sample();
		for (unsigned c = 0; c < WHEEL_CHAINS; c++) {
			held = held || sample.w.slot_[slot].chain[c] != NULL;
			sample.w.slot_[slot].chain[c] = NULL;
		}
		if (held)
			must_be_found("emptied", slot);
	}
}
END_TEST

START_TEST(check_finds_a_list_head_that_was_lost)
{
	make_sample();
	sample.w.run_ = NULL;
	must_be_found("run", 0);
	make_sample();
	sample.w.past_ = NULL;
	must_be_found("past", 0);
}
END_TEST

/* clang-format off */
SUITE("wheel_check",
      check_takes_no_place_for_the_reason,
      check_finds_an_armed_timer_that_was_overwritten,
      check_finds_a_flipped_bit_in_the_link_back,
      check_finds_a_list_that_was_cut_or_made_a_ring,
      check_finds_a_deadline_brought_forward_in_place,
      check_finds_a_mark_that_is_wrong,
      check_finds_a_slot_that_cannot_be_divided_ahead,
      check_finds_a_past_timer_that_is_not_past,
      check_finds_a_run_out_of_order,
      check_finds_an_arming_number_from_the_future,
      check_finds_a_wrong_count,
      check_finds_a_wrong_bit_of_the_occupied_slots,
      check_finds_clocks_that_contradict_each_other,
      check_finds_a_slot_that_lost_its_timers,
      check_finds_a_list_head_that_was_lost)
/* clang-format on */
