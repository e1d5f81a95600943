#include "mixture.h"

void emlearn_mixture(const float *reading, float *answer) {
    float of_components[sizeof(mixture_log_weights) / sizeof(mixture_log_weights[0])];
    mixture_score(reading, 8, of_components, answer);
}
