-- CreateTable
CREATE TABLE "failed_logins" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "via" TEXT NOT NULL,
    "address" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "claimed" TEXT,
    "owner_id" TEXT,
    "owner_name" TEXT,
    "owner_email" TEXT,
    "agent" TEXT,
    "count" INTEGER NOT NULL,

    CONSTRAINT "failed_logins_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "failed_logins_at_idx" ON "failed_logins"("at" DESC);
