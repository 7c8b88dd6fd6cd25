-- CreateTable
CREATE TABLE "alerts" (
    "id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "told" JSONB NOT NULL,
    "channel" TEXT NOT NULL,
    "ts" TEXT,
    "shown" BOOLEAN NOT NULL DEFAULT false,
    "suspended_by" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "alerts_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "alerts_key_at_idx" ON "alerts"("key", "at" DESC);

-- CreateIndex
CREATE INDEX "alerts_unsent" ON "alerts"("at") WHERE (NOT shown);
