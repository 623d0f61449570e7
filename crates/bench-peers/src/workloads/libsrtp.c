/* libsrtp as a side of the bench: packets come on the standard input, what becomes of them goes to the standard output,
 * and the CPU time of one, in nanoseconds, to the standard error.
 *
 * Arguments: "gcm" or "cm"; "protect" or "unprotect"; key and salt in hexadecimal digits; bytes of a slot; bytes of a
 * packet without its tag; packets; milliseconds. */
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned long long cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (unsigned long long)t.tv_sec * 1000000000ull + (unsigned long long)t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 8) fail("seven arguments");
    int gcm = strcmp(argv[1], "gcm") == 0, protects = strcmp(argv[2], "protect") == 0;
    unsigned char key[64];
    for (size_t i = 0; i < strlen(argv[3]) / 2 && i < sizeof key; i++) {
        unsigned byte;
        sscanf(argv[3] + 2 * i, "%2x", &byte);
        key[i] = (unsigned char)byte;
    }
    int slot = atoi(argv[4]), plain = atoi(argv[5]), count = atoi(argv[6]);
    unsigned long long budget = strtoull(argv[7], NULL, 10) * 1000000ull;
    size_t size = (size_t)slot * (size_t)count;
    unsigned char *given = malloc(size), *memory = malloc(size + 256);
    if (!given || !memory || fread(given, 1, size, stdin) != size) fail("packets");

    if (srtp_init() != srtp_err_status_ok) fail("srtp_init");
    srtp_policy_t policy;
    memset(&policy, 0, sizeof policy);
    if (gcm) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
    }
    policy.ssrc.type = protects ? ssrc_any_outbound : ssrc_any_inbound;
    policy.key = key;
    policy.window_size = 128;

    unsigned long long spent = 0, packets = 0;
    do {
        srtp_t session;
        if (srtp_create(&session, &policy) != srtp_err_status_ok) fail("srtp_create");
        memcpy(memory, given, size);
        unsigned long long start = 0;
        for (int i = 0; i < count; i++) {
            /* The first one makes the stream, and is not counted. */
            if (i == 1) start = cpu();
            unsigned char *packet = memory + (size_t)i * (size_t)slot;
            int len = protects ? plain : slot;
            srtp_err_status_t status = protects ? srtp_protect(session, packet, &len) : srtp_unprotect(session, packet, &len);
            if (status != srtp_err_status_ok || len != (protects ? slot : plain)) fail("refused");
        }
        spent += cpu() - start;
        packets += (unsigned long long)count - 1;
        srtp_dealloc(session);
    } while (spent < budget);
    if (fwrite(memory, 1, size, stdout) != size) fail("output");
    fprintf(stderr, "%.2f\n", (double)spent / (double)packets);
    return 0;
}
