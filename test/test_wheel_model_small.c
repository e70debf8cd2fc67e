/* test_wheel_model.c again, with the thresholds of wheel.c set so low that a few timers meet what
 * else takes tens of thousands. */
#define WHEEL_MANY 4
#define WHEEL_BATCH 4
#define WHEEL_LOOK 2
#define WHEEL_AHEAD 4
#define WHEEL_STEP 2
#include "test_wheel_model.c"
