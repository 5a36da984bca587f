/* Stands in for NVIDIA's library in the tests: two cards, of which the second tells no energy. The first draws 250 W by
   its counter and holds 6 GiB, 5 of them in the process HELD_BY. */
#include <stdlib.h>
#include <time.h>

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_t;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;

static unsigned long long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int error) { (void)error; return "error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    static char cards[2];
    if (index > 1) return 2;
    *device = &cards[index];
    cards[index] = (char)(index + 1);
    return 0;
}
static int second(void *device) { return *(char *)device == 2; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *mw) { *mw = second(device) ? 75500 : 250000; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) {
    if (second(device)) return 3; /* not supported */
    *mj = now_ms() * 250;
    return 0;
}
/* Of a card of unified memory (GB10) the driver lists the processes and no memory of its own. */
static int unified(void) { return getenv("UNIFIED") != NULL; }
int nvmlDeviceGetMemoryInfo(void *device, void *memory) { (void)device; (void)memory; return 3; }
int nvmlDeviceGetMemoryInfo_v2(void *device, memory_t *memory) {
    if (unified()) return 3;
    memory->total = 8ull << 30;
    memory->used = second(device) ? 0 : 6ull << 30;
    memory->free = memory->total - memory->used;
    return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, process_t *to) {
    const char *holder = getenv("HELD_BY");
    unsigned there = !second(device) && holder != NULL;
    if (to != NULL && *count >= there && there) to[0] = (process_t){(unsigned)atoi(holder), 5ull << 30, ~0u, ~0u};
    int small = there && (to == NULL || *count < there);
    *count = there;
    return small ? 7 : 0; /* insufficient size */
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *count, process_t *to) {
    (void)device;
    (void)to;
    *count = 0;
    return 0;
}
