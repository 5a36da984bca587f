/* Holds memory for the tests of mem-sample: ANON MiB that it wrote to, FILE mapped and read, and a child with CHILD MiB.
   Says "ready"; after a line frees what is anonymous and says "freed"; after another ends, and its child with it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *hold(size_t bytes) {
    char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) exit(3);
    memset(at, 1, bytes);
    return at;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    size_t anon = strtoul(argv[1], NULL, 10) << 20, inner = strtoul(argv[3], NULL, 10) << 20;
    int up[2], down[2];
    char c, line[16];
    if (pipe(up) || pipe(down)) return 3;
    if (fork() == 0) {
        close(up[0]);
        close(down[1]);
        hold(inner);
        if (write(up[1], "x", 1) != 1) return 3;
        return read(down[0], &c, 1) < 0;
    }
    close(up[1]);
    close(down[0]);
    int fd = open(argv[2], O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) return 3;
    volatile char *file = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED) return 3;
    for (off_t at = 0; at < st.st_size; at += 4096) (void)file[at];
    char *held = hold(anon);
    if (read(up[0], &c, 1) != 1) return 3;
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return 0;
    munmap(held, anon);
    puts("freed");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return 0;
    return 0;
}
