#include "autoencoder.h"

void emlearn_autoencoder(const float *reading, float *answer) {
    autoencoder_regress(reading, 8, answer, 8);
}
