/* A stand-in for sudo: set-user-ID of a user who owns nothing, so that whoever runs it cannot signal what it becomes. With
   METER_ONLY it runs powermetrics and nothing else (but `id`), as a narrow rule of sudo does. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    uid_t other = geteuid();
    if (argc < 3 || strcmp(argv[1], "-n"))
        return 1;
#ifdef METER_ONLY
    if (strcmp(argv[2], "powermetrics") && strcmp(argv[2], "id")) {
        fputs("sudo: a password is required\n", stderr);
        return 1;
    }
#endif
    if (setresuid(other, other, other))
        return 1;
    execvp(argv[2], argv + 2);
    return 127;
}
